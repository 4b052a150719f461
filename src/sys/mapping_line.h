// A line of /proc/self/maps taken apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tide::sys {

struct MappingLine {
  uintptr_t begin;
  uintptr_t end;
  uint64_t offset;
  bool is_writable;
  bool is_executable;
  std::string_view path;  // in the line; empty: none

  // False: not such a line.
  bool parse(std::string_view line) {
    uint64_t first, last;
    if (!number(line, &first) || !skip(line, '-') || !number(line, &last) || !skip(line, ' ') ||
        line.size() < 5) {
      return false;
    }
    begin = static_cast<uintptr_t>(first);
    end = static_cast<uintptr_t>(last);
    is_writable = line[1] == 'w';
    is_executable = line[2] == 'x';
    line.remove_prefix(5);
    if (!number(line, &offset)) return false;
    // Device and inode, then blanks.
    for (int i = 0; i < 2; ++i) {
      while (skip(line, ' ')) {
      }
      while (!line.empty() && line[0] != ' ') line.remove_prefix(1);
    }
    while (skip(line, ' ')) {
    }
    path = line;
    return true;
  }

 private:
  static bool skip(std::string_view& text, char c) {
    if (text.empty() || text[0] != c) return false;
    text.remove_prefix(1);
    return true;
  }

  static bool number(std::string_view& text, uint64_t* value) {
    *value = 0;
    const size_t before = text.size();
    while (!text.empty()) {
      const char c = text[0];
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0) break;
      *value = *value * 16 + static_cast<uint64_t>(digit);
      text.remove_prefix(1);
    }
    return text.size() != before;
  }
};

}  // namespace tide::sys
