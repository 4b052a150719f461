// Text of any length without allocation: collected in a small buffer and handed to a sink in
// pieces. See base/text.h for text of bounded length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/text.h"

namespace tide::api {

class ReportWriter {
 public:
  using Sink = void (*)(void* argument, std::string_view piece);

  ReportWriter(Sink sink, void* argument) : sink_(sink), argument_(argument) {}
  ~ReportWriter() { flush(); }
  ReportWriter(const ReportWriter&) = delete;
  ReportWriter& operator=(const ReportWriter&) = delete;

  ReportWriter& put(char c) {
    if (length_ == sizeof buffer_) flush();
    buffer_[length_++] = c;
    return *this;
  }

  ReportWriter& text(std::string_view value) {
    for (const char c : value) put(c);
    return *this;
  }

  ReportWriter& decimal(uint64_t value) {
    base::TextBuffer<24> digits;
    digits.decimal(value);
    return text(digits.view());
  }

  // Right-aligned in `width` columns.
  ReportWriter& column(std::string_view value, size_t width) {
    for (size_t i = value.size(); i < width; ++i) put(' ');
    return text(value);
  }

  ReportWriter& column(uint64_t value, size_t width) {
    base::TextBuffer<24> digits;
    digits.decimal(value);
    return column(digits.view(), width);
  }

  void flush() {
    if (length_ != 0) sink_(argument_, {buffer_, length_});
    length_ = 0;
  }

 private:
  Sink sink_;
  void* argument_;
  size_t length_ = 0;
  char buffer_[512];
};

}  // namespace tide::api
