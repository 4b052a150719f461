// Text without allocation: a buffer of fixed size that is appended to and cut off when full.
// For messages, statistics and option values inside a process whose malloc we are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tide::base {

// Appends to memory that the caller owns. What does not fit is dropped and `truncated()` says so.
class TextWriter {
 public:
  TextWriter(char* buffer, size_t capacity) : buffer_(buffer), capacity_(capacity) {}

  TextWriter& text(std::string_view value) {
    for (char c : value) put(c);
    return *this;
  }

  TextWriter& put(char c) {
    if (length_ < capacity_) {
      buffer_[length_++] = c;
    } else {
      truncated_ = true;
    }
    return *this;
  }

  TextWriter& decimal(uint64_t value) {
    char digits[20];
    size_t count = 0;
    do {
      digits[count++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    while (count != 0) put(digits[--count]);
    return *this;
  }

  TextWriter& signed_decimal(int64_t value) {
    if (value < 0) {
      put('-');
      return decimal(uint64_t{0} - static_cast<uint64_t>(value));
    }
    return decimal(static_cast<uint64_t>(value));
  }

  // With the 0x in front.
  TextWriter& hex(uint64_t value) {
    text("0x");
    int shift = 60;
    while (shift > 0 && (value >> shift) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) put("0123456789abcdef"[(value >> shift) & 15]);
    return *this;
  }

  std::string_view view() const { return {buffer_, length_}; }
  size_t length() const { return length_; }
  bool truncated() const { return truncated_; }

 private:
  char* buffer_;
  size_t capacity_;
  size_t length_ = 0;
  bool truncated_ = false;
};

// A TextWriter with its memory in it.
template <size_t kCapacity>
class TextBuffer : public TextWriter {
 public:
  TextBuffer() : TextWriter(storage_, kCapacity) {}
  TextBuffer(const TextBuffer&) = delete;
  TextBuffer& operator=(const TextBuffer&) = delete;

 private:
  char storage_[kCapacity];
};

// All of `text` as a number of at most 20 digits. False: it is none.
inline bool parse_decimal(std::string_view text, uint64_t* value) {
  if (text.empty() || text.size() > 20) return false;
  *value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    *value = *value * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

}  // namespace tide::base
