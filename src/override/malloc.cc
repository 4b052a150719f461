// The malloc family as symbols, all of it in this one file: a program that took one function from
// Tide and its sibling from the C library would free blocks where they don't belong, and out of
// libtide.a files are taken whole.
//
// No logic: every body is a call. What the calls promise is in api/c_family.h. The names with tide_
// are second names of the same functions.
#include <malloc.h>

#include "api/c_family.h"
#include "api/control.h"
#include "api/report.h"
#include "override/entry.h"

namespace api = tide::api;

#if __has_attribute(copy)  // the attributes that the C library's header gave the first name
#define TIDE_SECOND_NAME(original) TIDE_EXPORT __attribute__((alias(#original), copy(original)))
#else
#define TIDE_SECOND_NAME(original) TIDE_EXPORT __attribute__((alias(#original)))
#endif

namespace {

// The fields of the C library's struct, in its type.
template <class Mallinfo>
Mallinfo as_mallinfo() {
  using Field = decltype(Mallinfo::arena);
  constexpr size_t kMost = static_cast<size_t>(~Field{0} > 0 ? SIZE_MAX : INT32_MAX);
  const auto fit = [](size_t value) { return static_cast<Field>(value < kMost ? value : kMost); };
  const api::MallinfoFigures f = api::mallinfo_figures();
  return {fit(f.arena),   fit(f.ordblks), fit(f.smblks),   fit(f.hblks),    fit(f.hblkhd),
          fit(f.usmblks), fit(f.fsmblks), fit(f.uordblks), fit(f.fordblks), fit(f.keepcost)};
}

}  // namespace

extern "C" {

TIDE_ENTRY void* malloc(size_t bytes) noexcept { return api::allocate(bytes); }

TIDE_ENTRY void free(void* p) noexcept { api::release(p); }

TIDE_ENTRY void* calloc(size_t count, size_t bytes) noexcept {
  return api::allocate_array(count, bytes);
}

TIDE_ENTRY void* realloc(void* p, size_t bytes) noexcept { return api::resize(p, bytes); }

TIDE_ENTRY void* reallocarray(void* p, size_t count, size_t bytes) noexcept {
  return api::resize_array(p, count, bytes);
}

TIDE_ENTRY void free_sized(void* p, size_t bytes) noexcept { api::release_sized(p, bytes); }

TIDE_ENTRY void free_aligned_sized(void* p, size_t /*alignment*/, size_t bytes) noexcept {
  api::release_aligned_sized(p, bytes);
}

TIDE_ENTRY void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  return api::allocate_c11_aligned(alignment, bytes);
}

TIDE_ENTRY int posix_memalign(void** result, size_t alignment, size_t bytes) noexcept {
  return api::allocate_posix_aligned(result, alignment, bytes);
}

TIDE_ENTRY void* memalign(size_t alignment, size_t bytes) noexcept {
  return api::allocate_memalign(alignment, bytes);
}

TIDE_ENTRY void* valloc(size_t bytes) noexcept { return api::allocate_on_page(bytes); }

TIDE_ENTRY void* pvalloc(size_t bytes) noexcept { return api::allocate_whole_pages(bytes); }

TIDE_EXPORT size_t malloc_usable_size(void* p) noexcept { return api::usable_size(p); }

TIDE_EXPORT int malloc_trim(size_t pad) noexcept { return api::trim(pad); }

TIDE_EXPORT int mallopt(int parameter, int value) noexcept {
  return api::set_mallopt(parameter, value);
}

TIDE_EXPORT struct mallinfo mallinfo() noexcept { return as_mallinfo<struct mallinfo>(); }

TIDE_EXPORT struct mallinfo2 mallinfo2() noexcept { return as_mallinfo<struct mallinfo2>(); }

TIDE_EXPORT int malloc_info(int flags, FILE* stream) noexcept {
  return api::print_malloc_info(flags, stream);
}

TIDE_EXPORT void malloc_stats() noexcept { api::print_malloc_stats(); }

// Old programs know free by this name, and the C library still has it for them.
TIDE_SECOND_NAME(free) void cfree(void*) noexcept;

TIDE_SECOND_NAME(malloc) void* tide_malloc(size_t) noexcept;
TIDE_SECOND_NAME(free) void tide_free(void*) noexcept;
TIDE_SECOND_NAME(calloc) void* tide_calloc(size_t, size_t) noexcept;
TIDE_SECOND_NAME(realloc) void* tide_realloc(void*, size_t) noexcept;
TIDE_SECOND_NAME(reallocarray) void* tide_reallocarray(void*, size_t, size_t) noexcept;
TIDE_SECOND_NAME(free_sized) void tide_free_sized(void*, size_t) noexcept;
TIDE_SECOND_NAME(free_aligned_sized)
void tide_free_aligned_sized(void*, size_t, size_t) noexcept;
TIDE_SECOND_NAME(aligned_alloc) void* tide_aligned_alloc(size_t, size_t) noexcept;
TIDE_SECOND_NAME(posix_memalign) int tide_posix_memalign(void**, size_t, size_t) noexcept;
TIDE_SECOND_NAME(memalign) void* tide_memalign(size_t, size_t) noexcept;
TIDE_SECOND_NAME(valloc) void* tide_valloc(size_t) noexcept;
TIDE_SECOND_NAME(pvalloc) void* tide_pvalloc(size_t) noexcept;
TIDE_SECOND_NAME(malloc_trim) int tide_malloc_trim(size_t) noexcept;
TIDE_SECOND_NAME(mallopt) int tide_mallopt(int, int) noexcept;
TIDE_SECOND_NAME(malloc_info) int tide_malloc_info(int, FILE*) noexcept;
TIDE_SECOND_NAME(malloc_stats) void tide_malloc_stats() noexcept;

}  // extern "C"

TIDE_NAME_ENTRY(malloc, "malloc");
TIDE_NAME_ENTRY(free, "free");
TIDE_NAME_ENTRY(calloc, "calloc");
TIDE_NAME_ENTRY(realloc, "realloc");
TIDE_NAME_ENTRY(reallocarray, "reallocarray");
TIDE_NAME_ENTRY(free_sized, "free_sized");
TIDE_NAME_ENTRY(free_aligned_sized, "free_aligned_sized");
TIDE_NAME_ENTRY(aligned_alloc, "aligned_alloc");
TIDE_NAME_ENTRY(posix_memalign, "posix_memalign");
TIDE_NAME_ENTRY(memalign, "memalign");
TIDE_NAME_ENTRY(valloc, "valloc");
TIDE_NAME_ENTRY(pvalloc, "pvalloc");

// Out of libtide.a it comes with this file.
TIDE_KEPT constinit static const tide::layout::EntryRow* const g_entries = tide_malloc_entries;
