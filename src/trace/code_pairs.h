// How the pointers of blocks that come stand in a chunk, two codes a byte: a packer gives no symbol
// less than a bit, and most of these are worth less.
#pragma once

#include "trace/chunk_columns.h"

namespace tide::trace {

class CodePairWriter {
 public:
  void clear() { is_half_ = false; }
  void add(unsigned code, ColumnWriter& column) {
    if (is_half_) {
      column.byte(first_ | code << 4);
    } else {
      first_ = code;
    }
    is_half_ = !is_half_;
  }
  // Behind the last one.
  void finish(ColumnWriter& column) {
    if (is_half_) column.byte(first_);
    is_half_ = false;
  }

 private:
  unsigned first_ = 0;
  bool is_half_ = false;
};

class CodePairReader {
 public:
  void clear() { is_half_ = false; }
  unsigned next(ColumnReader& column) {
    is_half_ = !is_half_;
    if (is_half_) rest_ = column.byte();
    const unsigned code = rest_ & 7;
    rest_ >>= 4;
    return code;
  }

 private:
  unsigned rest_ = 0;
  bool is_half_ = false;
};

}  // namespace tide::trace
