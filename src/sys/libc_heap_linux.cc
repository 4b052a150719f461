// Knows how glibc lays out its chunks: 16 bytes before the block, the size with three flag bits in
// the second word (glibc manual and <malloc.h> of the debugger's documentation; stable since 2.3).
#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "sys/libc_heap.h"

extern "C" void __libc_free(void*) __attribute__((weak));

namespace tide::sys {

namespace {

constexpr size_t kWord = sizeof(size_t);
constexpr size_t kInUse = 1;       // of the chunk before
constexpr size_t kMapped = 2;      // a mapping of its own
constexpr size_t kOtherArena = 4;  // not in the main arena
constexpr size_t kFlags = 7;

struct Mapping {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool writable = false;
  bool anonymous = false;
  bool heap = false;  // the kernel's name for the brk area
};

// Reads one line of /proc/self/maps after the other into `line`; no allocation.
class MapsReader {
 public:
  MapsReader() : descriptor_(open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) {}
  ~MapsReader() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  MapsReader(const MapsReader&) = delete;
  MapsReader& operator=(const MapsReader&) = delete;

  bool next(Mapping& mapping) {
    size_t length = 0;
    for (;;) {
      if (position_ == filled_) {
        const ssize_t got = descriptor_ < 0 ? 0 : read(descriptor_, buffer_, sizeof buffer_);
        if (got <= 0) return false;
        filled_ = static_cast<size_t>(got);
        position_ = 0;
      }
      const char c = buffer_[position_++];
      if (c == '\n') break;
      if (length < sizeof line_ - 1) line_[length++] = c;
    }
    line_[length] = '\0';
    parse(mapping);
    return true;
  }

 private:
  static uintptr_t hex(const char*& text) {
    uintptr_t value = 0;
    for (;; ++text) {
      const char c = *text;
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<uintptr_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        value = value * 16 + static_cast<uintptr_t>(c - 'a' + 10);
      } else {
        return value;
      }
    }
  }

  void parse(Mapping& mapping) const {
    const char* text = line_;
    mapping.begin = hex(text);
    if (*text == '-') ++text;
    mapping.end = hex(text);
    mapping.writable = text[0] == ' ' && text[1] == 'r' && text[2] == 'w';
    mapping.heap = strstr(text, "[heap]") != nullptr;
    const char* const path = strchr(text, '/');
    mapping.anonymous = path == nullptr && strstr(text, "[stack") == nullptr;
  }

  int descriptor_;
  char buffer_[1024];
  size_t filled_ = 0;
  size_t position_ = 0;
  char line_[160];
};

bool mapping_around(uintptr_t address, Mapping& found) {
  MapsReader reader;
  Mapping mapping;
  while (reader.next(mapping)) {
    if (address >= mapping.begin && address < mapping.end) {
      found = mapping;
      return mapping.writable && (mapping.anonymous || mapping.heap);
    }
  }
  return false;
}

size_t word_at(uintptr_t address) {
  size_t word;
  memcpy(&word, reinterpret_cast<const void*>(address), sizeof word);
  return word;
}

}  // namespace

size_t libc_block_bytes(const void* p) {
  const int saved_errno = errno;
  const auto address = reinterpret_cast<uintptr_t>(p);
  size_t result = 0;
  Mapping mapping;
  const bool candidate = __libc_free != nullptr && address % (2 * kWord) == 0 &&
                         mapping_around(address, mapping) && address - mapping.begin >= 2 * kWord;
  errno = saved_errno;
  if (!candidate) return 0;
  const uintptr_t chunk = address - 2 * kWord;
  const size_t header = word_at(chunk + kWord);
  const size_t bytes = header & ~kFlags;
  if (bytes < 4 * kWord || bytes % (2 * kWord) != 0 || bytes > mapping.end - chunk) return 0;
  if ((header & kMapped) != 0) {
    const size_t before = word_at(chunk);
    const bool whole_pages = (chunk - before) % 4096 == 0 && (before + bytes) % 4096 == 0;
    if (whole_pages && before <= chunk - mapping.begin && (header & kOtherArena) == 0) {
      result = bytes - 2 * kWord;
    }
  } else {
    // A block in an arena: the chunk behind it knows that it is in use, and only the brk area holds
    // chunks of the main arena.
    const uintptr_t next = chunk + bytes;
    const bool other_arena = (header & kOtherArena) != 0;
    if (next + 2 * kWord <= mapping.end && (word_at(next + kWord) & kInUse) != 0 &&
        other_arena != mapping.heap) {
      result = bytes - kWord;
    }
  }
  return result;
}

void libc_free(void* p) { __libc_free(p); }

}  // namespace tide::sys
