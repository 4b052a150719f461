// Knows how glibc lays out its chunks: 16 bytes before the block, the size with three flag bits in
// the second word; and the heaps of its other arenas, which begin at multiples of 64 MiB with their
// arena's address, the heap before and how many bytes are in use (glibc manual and <malloc.h> of
// the debugger's documentation; stable since 2.10).
#include <elf.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cstdint>
#include <cstring>

#include "base/starts_with.h"
#include "sys/errno_keeper.h"
#include "sys/libc_heap.h"
#include "sys/line_reader.h"
#include "sys/mapping_line.h"

extern "C" void __libc_free(void*) __attribute__((weak));

namespace tide::sys {

namespace {

constexpr size_t kWord = sizeof(size_t);
constexpr size_t kInUse = 1;       // of the chunk before
constexpr size_t kMapped = 2;      // a mapping of its own
constexpr size_t kOtherArena = 4;  // not in the main arena
constexpr size_t kFlags = 7;
constexpr size_t kPage = 4096;
constexpr size_t kMostPiecePages =
    10'000;  // glibc takes what is above 32 MiB from the kernel alone
constexpr uintptr_t kHeapBytes = size_t{64} << 20;  // of an arena that is not the main one

// Where the program's own image ends, behind which the kernel puts the brk area; 0: not known.
uintptr_t program_end() {
  const auto* const headers = reinterpret_cast<const Elf64_Phdr*>(getauxval(AT_PHDR));
  const size_t count = getauxval(AT_PHNUM);
  uintptr_t bias = 0;
  uintptr_t end = 0;
  for (size_t i = 0; headers != nullptr && i < count; ++i) {
    const uintptr_t begin = headers[i].p_vaddr;
    if (headers[i].p_type == PT_PHDR) bias = reinterpret_cast<uintptr_t>(headers) - begin;
    if (headers[i].p_type == PT_LOAD && begin + headers[i].p_memsz > end) {
      end = begin + headers[i].p_memsz;
    }
  }
  return end == 0 ? 0 : bias + end;
}

// The memory around an address, and how to read it safely.
class Surroundings {
 public:
  explicit Surroundings(uintptr_t address) {
    char room[512];
    LineReader reader("/proc/self/maps", room);
    if (!reader.is_open()) {
      do_without_list(address);
      return;
    }
    std::string_view line;
    MappingLine mapping;
    while (reader.next(line)) {
      if (!mapping.parse(line)) continue;
      const bool heap = mapping.path == "[heap]";
      const bool usable = mapping.is_writable && (heap || mapping.path.empty() ||
                                                  base::starts_with(mapping.path, "[anon:"));
      // The kernel splits a mapping where a program gives advice for a part of it.
      if (usable && mapping.begin == end_ && heap == is_brk_) {
        end_ = mapping.end;
        continue;
      }
      if (address < end_) break;
      begin_ = usable ? mapping.begin : mapping.end;
      end_ = mapping.end;
      is_brk_ = heap;
    }
    is_listed_ = address >= begin_ && address < end_;
    if (!is_listed_) begin_ = end_ = 0;
  }

  bool holds(uintptr_t begin, uintptr_t end) const {
    return begin >= begin_ && begin < end && end <= end_;
  }
  bool is_brk() const { return is_brk_; }

  bool read(uintptr_t address, size_t* word) const {
    if (!holds(address, address + kWord)) return false;
    if (is_listed_) {
      memcpy(word, reinterpret_cast<const void*>(address), kWord);
      return true;
    }
    const iovec from = {reinterpret_cast<void*>(address), kWord};
    const iovec to = {word, kWord};
    return syscall(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0) == static_cast<long>(kWord);
  }

 private:
  // No descriptor is left, or no /proc is there: the kernel says of each word whether it is memory.
  void do_without_list(uintptr_t address) {
    const auto brk_end = static_cast<uintptr_t>(syscall(SYS_brk, 0));
    const uintptr_t image_end = program_end();
    is_brk_ = image_end != 0 && address >= image_end && address < brk_end;
    begin_ = is_brk_ ? image_end : kPage;
    end_ = is_brk_ ? brk_end : UINTPTR_MAX / 2;
  }

  uintptr_t begin_ = 0;
  uintptr_t end_ = 0;
  bool is_brk_ = false;
  bool is_listed_ = false;
};

// The chunk has a mapping of its own, `bytes` of it from the chunk on.
bool is_mapped_chunk(const Surroundings& around, uintptr_t chunk, size_t bytes) {
  size_t before, word;
  if (!around.read(chunk, &before) || before > chunk) return false;
  const uintptr_t begin = chunk - before;
  return begin % kPage == 0 && (before + bytes) % kPage == 0 &&
         around.holds(begin, chunk + bytes) && around.read(begin, &word) &&
         around.read(chunk + bytes - kWord, &word);
}

// The chunk lies in the part in use of one of the heaps that other arenas than the main one have.
bool is_in_arena_heap(const Surroundings& around, uintptr_t chunk, size_t bytes) {
  const uintptr_t heap = chunk & ~(kHeapBytes - 1);
  size_t arena, used, open;
  return around.read(heap, &arena) && around.read(heap + 2 * kWord, &used) &&
         around.read(heap + 3 * kWord, &open) && arena != 0 && arena % (2 * kWord) == 0 &&
         used % kPage == 0 && used <= open && open <= kHeapBytes && chunk + bytes <= heap + used;
}

// Chunks follow one another from `at` to `chunk`.
bool is_row_to(const Surroundings& around, uintptr_t at, uintptr_t chunk) {
  while (at < chunk) {
    size_t header;
    if (!around.read(at + kWord, &header) || (header & (kMapped | kOtherArena)) != 0) return false;
    const size_t bytes = header & ~kFlags;
    // Two of the least size end a piece before the arena goes on in another.
    if (bytes < 2 * kWord || bytes % (2 * kWord) != 0 || bytes > chunk - at) return false;
    at += bytes;
  }
  return at == chunk;
}

// The main arena where the kernel refused brk: pieces of whole pages, each a row of chunks from its
// first byte on. What else lies right before a piece (the data of a library, another mapping) the
// kernel shows as one mapping with it, so that a piece may begin at any page.
bool is_in_mapped_main_arena(const Surroundings& around, uintptr_t chunk) {
  uintptr_t page = chunk & ~(kPage - 1);
  for (size_t i = 0; i < kMostPiecePages && around.holds(page, page + kPage); ++i, page -= kPage) {
    if (is_row_to(around, page, chunk)) return true;
  }
  return false;
}

}  // namespace

size_t libc_block_bytes(const void* p) {
  const ErrnoKeeper keeper;
  const auto address = reinterpret_cast<uintptr_t>(p);
  if (__libc_free == nullptr || address % (2 * kWord) != 0 || address < 2 * kWord) return 0;
  const Surroundings around(address);
  const uintptr_t chunk = address - 2 * kWord;
  size_t header;
  if (!around.read(chunk + kWord, &header)) return 0;
  const size_t bytes = header & ~kFlags;
  if (bytes < 4 * kWord || bytes % (2 * kWord) != 0 || !around.holds(chunk, chunk + bytes))
    return 0;
  const bool other_arena = (header & kOtherArena) != 0;
  if ((header & kMapped) != 0) {
    return !other_arena && is_mapped_chunk(around, chunk, bytes) ? bytes - 2 * kWord : 0;
  }
  // A block in an arena: the chunk behind it knows that it is in use, and the brk area holds
  // chunks of the main arena only.
  size_t next;
  if (!around.read(chunk + bytes + kWord, &next) || (next & kInUse) == 0) return 0;
  const bool placed = other_arena ? !around.is_brk() && is_in_arena_heap(around, chunk, bytes)
                                  : around.is_brk() || is_in_mapped_main_arena(around, chunk);
  return placed ? bytes - kWord : 0;
}

void libc_free(void* p) { __libc_free(p); }

}  // namespace tide::sys
