// Whether bytes are text, and how to show it.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace tide::inspect {

using Bytes = std::span<const std::byte>;

// Length in bytes of the text at the begin, without a closing zero: ASCII or UTF-8 that can be
// printed, line ends and tabs in it. 0: none.
size_t text_length(Bytes bytes);

// The same of text whose characters have `unit` bytes (2: UTF-16, 4: UTF-32), little endian, of
// the letters of Western languages. 0: there are not enough of them to say.
size_t wide_text_length(Bytes bytes, size_t unit);

// Whether a block is text: of `text_length()` bytes `length` of the `bytes` that were looked at.
bool is_text(Bytes bytes, size_t length);

// At most `most` bytes of text for people: "GET /index.html\n" with what moves the cursor escaped.
std::string shown_text(Bytes bytes, size_t most);
// The same of wide text.
std::string shown_wide_text(Bytes bytes, size_t unit, size_t most);
// "48 65 6c 6c 6f 00 01 02  Hello..." of at most `most` bytes.
std::string hex_and_text(Bytes bytes, size_t most);

}  // namespace tide::inspect
