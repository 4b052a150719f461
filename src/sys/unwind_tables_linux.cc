#include "sys/unwind_tables.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "sys/errno_keeper.h"

// Of the C library's loader.
#pragma weak _r_debug

namespace tide::sys {

#if defined(DLFO_EH_SEGMENT_TYPE)

namespace {

// The last in the loader's list.
std::atomic<const link_map*> g_last_at_start{nullptr};

// The list's first part, up to that one, stays as it is.
bool is_from_start(const link_map* object) {
  const link_map* const last = g_last_at_start.load(std::memory_order_relaxed);
  if (last == nullptr) return false;
  const link_map* at = _r_debug.r_map;
  while (at != object && at != last) at = at->l_next;
  return at == object;
}

struct Range {
  uintptr_t begin;
  uintptr_t end;  // begin: nothing
};

// Larger ones matter little to the process that has them, and take long to look through.
constexpr uintptr_t kMostBytes = uintptr_t{4} << 20;
constexpr size_t kPagesAtOnce = 64;

// From the table on, what the object's file has in the part that can only be read.
Range tables_of(uintptr_t address, uintptr_t page) {
  constexpr Range kNone{0, 0};
  dl_find_object found;
  if (_dl_find_object(reinterpret_cast<void*>(address), &found) != 0 ||
      !is_from_start(found.dlfo_link_map)) {
    return kNone;
  }
  const auto table = reinterpret_cast<uintptr_t>(found.dlfo_eh_frame);
  // The file begins with its description, unless it was made by an odd linker.
  const auto start = reinterpret_cast<uintptr_t>(found.dlfo_map_start);
  const auto* const file = reinterpret_cast<const ElfW(Ehdr)*>(start);
  if (table == 0 || memcmp(file->e_ident, ELFMAG, SELFMAG) != 0 ||
      file->e_phentsize != sizeof(ElfW(Phdr)) ||
      file->e_phoff + file->e_phnum * sizeof(ElfW(Phdr)) > page) {
    return kNone;
  }
  const auto* const parts = reinterpret_cast<const ElfW(Phdr)*>(start + file->e_phoff);
  for (size_t i = 0; i < file->e_phnum; ++i) {
    const uintptr_t begin = found.dlfo_link_map->l_addr + parts[i].p_vaddr;
    const uintptr_t end = begin + parts[i].p_filesz;
    if (parts[i].p_type != PT_LOAD || table < begin || table >= end) continue;
    if (parts[i].p_flags != PF_R || end - table > kMostBytes) return kNone;
    return {table & ~(page - 1), (end + page - 1) & ~(page - 1)};
  }
  return kNone;
}

// Whether all pages that are there are the file's own: one that was written, as by the loader where
// tables need that, would not come back as it is.
bool is_as_in_the_file(const uint64_t* pages, size_t count) {
  constexpr uint64_t kPresent = uint64_t{1} << 63;
  constexpr uint64_t kSwapped = uint64_t{1} << 62;
  constexpr uint64_t kOfFile = uint64_t{1} << 61;
  for (size_t i = 0; i < count; ++i) {
    const bool is_there = (pages[i] & (kPresent | kSwapped)) != 0;
    if (is_there && (pages[i] & (kPresent | kOfFile)) != (kPresent | kOfFile)) return false;
  }
  return true;
}

}  // namespace

void note_objects_at_start() {
  if (&_r_debug == nullptr || g_last_at_start.load(std::memory_order_relaxed) != nullptr) return;
  const link_map* last = _r_debug.r_map;
  while (last != nullptr && last->l_next != nullptr) last = last->l_next;
  g_last_at_start.store(last, std::memory_order_relaxed);
}

void release_unwind_tables(uintptr_t address) {
  const ErrnoKeeper keeper;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const Range range = tables_of(address, page);
  if (range.begin == range.end) return;
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return;
  for (uintptr_t at = range.begin; at < range.end; at += kPagesAtOnce * page) {
    uint64_t pages[kPagesAtOnce];
    const size_t left = (range.end - at) / page;
    const size_t count = left < kPagesAtOnce ? left : kPagesAtOnce;
    const auto place = static_cast<off_t>(at / page * sizeof pages[0]);
    const ssize_t got = pread(pagemap, pages, count * sizeof pages[0], place);
    if (got != static_cast<ssize_t>(count * sizeof pages[0])) break;
    if (is_as_in_the_file(pages, count)) {
      madvise(reinterpret_cast<void*>(at), count * page, MADV_DONTNEED);
    }
  }
  close(pagemap);
}

#else

void note_objects_at_start() {}

void release_unwind_tables(uintptr_t) {}

#endif

}  // namespace tide::sys
