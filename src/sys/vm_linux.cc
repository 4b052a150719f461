#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/mix.h"
#include "base/racy.h"
#include "base/random_step.h"
#include "sys/background.h"
#include "sys/errno_keeper.h"
#include "sys/path_taken.h"
#include "sys/vm.h"

namespace tide::sys {

namespace {

// Programs such as LuaJIT need the low addresses for themselves (MAP_32BIT).
constexpr uintptr_t kLowestAddress =
    sizeof(void*) == 8 ? static_cast<uintptr_t>(uint64_t{1} << 32) : uintptr_t{1} << 16;

// Linux 4.17; older kernels take the address as a hint, which map_at() checks for.
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
// Linux 5.7.
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

// Linux 5.14.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

void* map_pages(uintptr_t address, size_t bytes, int protection, int flags) {
  take_path(PathTaken::kSystem);
  return mmap(reinterpret_cast<void*>(address), bytes, protection,
              MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

}  // namespace

size_t LinuxVm::page_size() {
  static std::atomic<size_t> known{0};
  size_t bytes = known.load(std::memory_order_relaxed);
  if (bytes == 0) known.store(bytes = getauxval(AT_PAGESZ), std::memory_order_relaxed);
  return bytes;
}

unsigned LinuxVm::address_bits() {
  // ThreadSanitizer follows no hints outside of its own ranges; a small number makes the plan ask.
  if (base::kThreadSanitizer) return 34;
  // The kernel gives out more only to those who ask for it (five-level paging, 52-bit arm64).
  return sizeof(void*) == 8 ? 47 : 32;
}

uint64_t LinuxVm::random_seed() {
  // AT_RANDOM also seeds libc's stack canary and pointer guard: mix, so that an address shows
  // nothing of them.
  uint64_t parts[2] = {0, 0};
  if (const auto* source = reinterpret_cast<const void*>(getauxval(AT_RANDOM))) {
    memcpy(parts, source, sizeof parts);
  }
  return base::mix(parts[0] + (parts[1] << 1) + base::kGoldenGamma);
}

MapResult LinuxVm::map_at(uintptr_t address, size_t bytes) {
  const ErrnoKeeper keeper;
  void* const result =
      map_pages(address, bytes, PROT_READ | PROT_WRITE, MAP_NORESERVE | MAP_FIXED_NOREPLACE);
  if (result == reinterpret_cast<void*>(address)) return MapResult::kOk;
  if (result != MAP_FAILED) {
    munmap(result, bytes);
    return MapResult::kTaken;
  }
  return errno == EEXIST ? MapResult::kTaken : MapResult::kNoMemory;
}

void* LinuxVm::map(size_t bytes) {
  const ErrnoKeeper keeper;
  uint64_t random = random_seed();
  uintptr_t hint = 0;
  // A kernel with room gives a high address at once; emulators start from the bottom unless told.
  for (int attempt = 0; attempt < 8; ++attempt) {
    void* const result = map_pages(hint, bytes, PROT_READ | PROT_WRITE, MAP_NORESERVE);
    if (result == MAP_FAILED) return nullptr;
    if (reinterpret_cast<uintptr_t>(result) >= kLowestAddress) return result;
    munmap(result, bytes);
    random = base::random_step(random);
    hint = kLowestAddress + ((random >> 32) << 12);
  }
  return nullptr;
}

uintptr_t LinuxVm::find_free(size_t bytes) {
  const ErrnoKeeper keeper;
  void* const result = map_pages(0, bytes, PROT_NONE, MAP_NORESERVE);
  if (result == MAP_FAILED) return 0;
  munmap(result, bytes);
  const auto address = reinterpret_cast<uintptr_t>(result);
  return address < kLowestAddress ? 0 : address;
}

bool LinuxVm::unmap(void* address, size_t bytes) {
  const ErrnoKeeper keeper;
  return munmap(address, bytes) == 0;
}

bool LinuxVm::purge(void* address, size_t bytes) {
  const ErrnoKeeper keeper;
  return madvise(address, bytes, MADV_DONTNEED) == 0;
}

// process_madvise(2) on the process itself: Linux 6.13. In the helper only: a program that has shut
// itself in may have left it out of what it allows itself.
uint32_t LinuxVm::purge_many(const PageRange* ranges, uint32_t count) {
  static std::atomic<bool> refused{false};
  if (!is_in_background() || refused.load(std::memory_order_relaxed)) return 0;
  const ErrnoKeeper keeper;
  constexpr int kSelf = -10'000;  // PIDFD_SELF_THREAD
  constexpr uint32_t kMost = 64;
  iovec parts[kMost];
  if (count > kMost) count = kMost;
  for (uint32_t i = 0; i < count; ++i) {
    parts[i] = {reinterpret_cast<void*>(ranges[i].begin), ranges[i].bytes};
  }
  const long result = syscall(SYS_process_madvise, kSelf, parts, count, MADV_DONTNEED, 0);
  if (result < 0) {
    refused.store(true, std::memory_order_relaxed);
    return 0;
  }
  uint32_t gone = 0;
  for (auto left = static_cast<size_t>(result); gone != count && left >= ranges[gone].bytes;) {
    left -= ranges[gone++].bytes;
  }
  return gone;
}

bool LinuxVm::purge_lazily(void* address, size_t bytes) {
  const ErrnoKeeper keeper;
  return madvise(address, bytes, MADV_FREE) == 0;
}

void LinuxVm::populate(void* address, size_t bytes) {
  const ErrnoKeeper keeper;
  take_path(PathTaken::kSystem);
  madvise(address, bytes, MADV_POPULATE_WRITE);  // older kernels say EINVAL, which costs little
}

// Without the last advice khugepaged would take a page with holes for one that it should fill. The
// huge page before is in both, or the kernel would never join the two mappings again: what is first
// touched in one of its own gets an anon_vma of its own.
void LinuxVm::populate_huge(void* address, size_t bytes) {
  const ErrnoKeeper keeper;
  constexpr size_t kBefore = size_t{2} << 20;
  char* const from = static_cast<char*>(address) - kBefore;
  madvise(from, kBefore + bytes, MADV_HUGEPAGE);
  madvise(address, bytes, MADV_POPULATE_WRITE);
  madvise(from, kBefore + bytes, MADV_NOHUGEPAGE);
}

bool LinuxVm::is_sparse(void* address, size_t bytes) {
  const ErrnoKeeper keeper;
  // Up to four stretches of 64 pages, evenly spread.
  constexpr size_t kPages = 64;
  const size_t page = page_size();
  const size_t stretch = bytes < kPages * page ? bytes : kPages * page;
  const size_t step = (bytes - stretch) / 3 / page * page;
  size_t looked = 0;
  size_t resident = 0;
  for (size_t offset = 0; offset + stretch <= bytes; offset += step) {
    unsigned char found[kPages];
    if (mincore(static_cast<char*>(address) + offset, stretch, found) != 0) return false;
    for (size_t i = 0; i < stretch / page; ++i) resident += found[i] & 1;
    looked += stretch / page;
    if (step == 0) break;
  }
  return resident < looked / 4;
}

void* LinuxVm::remap(void* address, size_t old_bytes, size_t new_bytes) {
  const ErrnoKeeper keeper;
  take_path(PathTaken::kSystem);
  void* const result = mremap(address, old_bytes, new_bytes, MREMAP_MAYMOVE);
  return result == MAP_FAILED ? nullptr : result;
}

void LinuxVm::deny(void* address, size_t bytes) {
  const ErrnoKeeper keeper;
  mprotect(address, bytes, PROT_NONE);
}

bool LinuxVm::set_dumped(void* address, size_t bytes, bool dumped) {
  const ErrnoKeeper keeper;
  return madvise(address, bytes, dumped ? MADV_DODUMP : MADV_DONTDUMP) == 0;
}

void* LinuxVm::detach_pages(void* from, size_t bytes) {
  const ErrnoKeeper keeper;
  void* const result = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
  return result == MAP_FAILED ? nullptr : result;
}

MoveResult LinuxVm::move_pages(void* from, void* to, size_t bytes) {
  const ErrnoKeeper keeper;
  // Refused where a program has locked its memory, the one or the other: what pages are moved away
  // from would not be.
  if (madvise(from, page_size(), MADV_DONTNEED) != 0 || madvise(to, bytes, MADV_DONTNEED) != 0) {
    return MoveResult::kUnchanged;
  }
  constexpr int kFlags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
  if (mremap(from, bytes, bytes, kFlags, to) == to) return MoveResult::kMoved;
  // The system may have unmapped the destination before it found a reason to refuse, and another
  // thread may have mapped something there since.
  const MapResult result = map_at(reinterpret_cast<uintptr_t>(to), bytes);
  return result == MapResult::kOk ? MoveResult::kUnchanged : MoveResult::kLost;
}

}  // namespace tide::sys
