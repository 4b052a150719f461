// Numbers out of a fuzzer's input; zeros when it has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace fuzz {

inline void require(bool condition, const char* file = __builtin_FILE(),
                    int line = __builtin_LINE()) {
  if (condition) return;
  fprintf(stderr, "%s:%d: not as it must be\n", file, line);
  abort();
}

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool is_empty() const { return size_ == 0; }

  uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }

  // Small sizes mostly, but every magnitude up to 64 MiB is a few bits away.
  size_t block_size() {
    const unsigned bits = byte() % 27;
    const size_t low = byte() | size_t{byte()} << 8 | size_t{byte()} << 16;
    return (size_t{1} << bits) + (low & ((size_t{1} << bits) - 1)) - 1;
  }

  // Any size, those near the ends of what a number can hold above all.
  size_t hostile_size() {
    const uint8_t kind = byte();
    const size_t less = byte();
    switch (kind % 8) {
      case 0:
        return less;
      case 1:
        return SIZE_MAX - less;
      case 2:
        return PTRDIFF_MAX - less;
      case 3:
        return size_t{PTRDIFF_MAX} + 1 + less;
      case 4:
        return size_t{1} << (less % 64);
      case 5:
        return (size_t{1} << (less % 64)) - 1;
      case 6:
        return SIZE_MAX / (less + 1);
      default:
        return block_size();
    }
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace fuzz
