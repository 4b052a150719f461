#include "inspect/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace tide::inspect {
namespace {

uint8_t at(Bytes bytes, size_t i) { return static_cast<uint8_t>(bytes[i]); }

bool is_printable(uint8_t c) {
  return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\r' || c == '\t';
}

// Bytes of the UTF-8 character of more than one byte at `i`; 0: it is none, or not all of it is
// there.
size_t sequence_length(Bytes bytes, size_t i) {
  const uint8_t lead = at(bytes, i);
  size_t length = 0;
  if (lead >= 0xC2 && lead <= 0xDF) length = 2;
  if (lead >= 0xE0 && lead <= 0xEF) length = 3;
  if (lead >= 0xF0 && lead <= 0xF4) length = 4;
  if (length == 0 || bytes.size() - i < length) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((at(bytes, i + k) & 0xC0U) != 0x80) return 0;
  }
  // What moves the cursor, too long a form, halves of UTF-16 pairs, more than Unicode has.
  const uint8_t second = at(bytes, i + 1);
  if ((lead == 0xC2 && second < 0xA0) || (lead == 0xE0 && second < 0xA0) ||
      (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
      (lead == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

bool is_letter(uint32_t c) {
  const uint32_t lower = c | 0x20U;
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == ' ';
}

uint32_t unit_at(Bytes bytes, size_t i, size_t unit) {
  uint32_t value = 0;
  for (size_t k = 0; k < unit; ++k) value |= uint32_t{at(bytes, i + k)} << (8 * k);
  return value;
}

bool is_wide_character(uint32_t c) {
  return c < 0x80 ? is_printable(static_cast<uint8_t>(c)) : c >= 0xA0 && c < 0x250;
}

void add_shown(std::string& out, uint8_t c) {
  if (c == '\n') {
    out += "\\n";
  } else if (c == '\r') {
    out += "\\r";
  } else if (c == '\t') {
    out += "\\t";
  } else {
    out += static_cast<char>(c);
  }
}

}  // namespace

size_t text_length(Bytes bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    if (is_printable(at(bytes, i))) {
      ++i;
      continue;
    }
    const size_t length = sequence_length(bytes, i);
    if (length == 0) break;
    i += length;
  }
  return i;
}

bool is_text(Bytes bytes, size_t length) {
  constexpr size_t kShortest = 4;
  // A character that the end of the look cuts off.
  if (length >= kShortest && bytes.size() - length < 4 &&
      at(bytes, std::min(length, bytes.size() - 1)) >= 0xC2) {
    return true;
  }
  if (length < kShortest) return false;
  if (length == bytes.size() || at(bytes, length) == 0) return true;
  // Not closed by a zero: a buffer with a length elsewhere, with old bytes behind the text.
  return length >= 32 && length >= bytes.size() / 4 * 3;
}

size_t wide_text_length(Bytes bytes, size_t unit) {
  constexpr size_t kFewest = 4;
  size_t count = 0;
  size_t letters = 0;
  size_t i = 0;
  bool is_closed = false;
  for (; i + unit <= bytes.size(); i += unit) {
    const uint32_t c = unit_at(bytes, i, unit);
    if (c == 0) {
      is_closed = true;
      break;
    }
    if (!is_wide_character(c)) return 0;
    ++count;
    if (is_letter(c)) ++letters;
  }
  if (!is_closed && i + unit <= bytes.size()) return 0;
  // Small numbers look the same, but are no letters.
  return count >= kFewest && letters >= count / 4 * 3 ? i : 0;
}

std::string shown_text(Bytes bytes, size_t most) {
  const size_t length = text_length(bytes);
  std::string out = "\"";
  for (size_t i = 0; i < std::min(length, most); ++i) {
    // No half of a character.
    if (at(bytes, i) >= 0xC2 && i + std::max<size_t>(sequence_length(bytes, i), 1) > most) break;
    add_shown(out, at(bytes, i));
  }
  out += '"';
  if (length > most) out += "...";
  return out;
}

std::string shown_wide_text(Bytes bytes, size_t unit, size_t most) {
  const size_t length = wide_text_length(bytes, unit);
  std::string out = "\"";
  for (size_t i = 0; i < std::min(length, most * unit); i += unit) {
    const uint32_t c = unit_at(bytes, i, unit);
    if (c < 0x80) {
      add_shown(out, static_cast<uint8_t>(c));
    } else {
      out += static_cast<char>(0xC0U | (c >> 6));
      out += static_cast<char>(0x80U | (c & 0x3FU));
    }
  }
  out += '"';
  if (length > most * unit) out += "...";
  return out;
}

std::string hex_and_text(Bytes bytes, size_t most) {
  const Bytes shown = bytes.first(std::min(bytes.size(), most));
  std::string out;
  for (const std::byte byte : shown) {
    fmt::format_to(std::back_inserter(out), "{:02x} ", static_cast<unsigned>(byte));
  }
  out += ' ';
  for (const std::byte byte : shown) {
    const auto c = static_cast<uint8_t>(byte);
    out += c >= 0x20 && c < 0x7F ? static_cast<char>(c) : '.';
  }
  return out;
}

}  // namespace tide::inspect
