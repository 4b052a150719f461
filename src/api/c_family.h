// The C library's rules around the allocator's calls: what is an error, which errno, what happens
// for 0 and for null. One function per member of the malloc family that needs a rule;
// override/malloc.cc gives them their names.
//
// Where the standards leave room the current C library's choice is taken. Any thread may call.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "api/allocate.h"

namespace tide::api {

// Null with errno ENOMEM, for the caller to return.
TIDE_COLD void* out_of_memory_error();

// calloc: zeroed; ENOMEM when the product overflows.
TIDE_INLINE void* allocate_array(size_t count, size_t bytes) {
  size_t total = 0;
  if (TIDE_UNLIKELY(__builtin_mul_overflow(count, bytes, &total))) return out_of_memory_error();
  return allocate_zeroed(total);
}

// realloc: null allocates, 0 bytes frees and gives null.
TIDE_INLINE void* resize(void* p, size_t bytes) {
  if (TIDE_UNLIKELY(p == nullptr)) return allocate(bytes);
  if (TIDE_LIKELY(bytes != 0)) return reallocate(p, bytes);
  release(p);
  return nullptr;
}

// reallocarray: like realloc; ENOMEM and an untouched block when the product overflows.
void* resize_array(void* p, size_t count, size_t bytes);

// aligned_alloc: EINVAL unless `alignment` is a power of two. `bytes` need not be a multiple of it.
void* allocate_c11_aligned(size_t alignment, size_t bytes);

// posix_memalign: an error number; EINVAL unless `alignment` is a power of two and a multiple of a
// pointer's size.
int allocate_posix_aligned(void** result, size_t alignment, size_t bytes);

// memalign: an alignment that is no power of two counts as the next one; EINVAL when there is none.
void* allocate_memalign(size_t alignment, size_t bytes);

// valloc: aligned to an OS page. pvalloc: also a whole number of pages, at least one.
void* allocate_on_page(size_t bytes);
void* allocate_whole_pages(size_t bytes);

// free_sized, free_aligned_sized and the sized operator delete. From check level 1 on a size that
// the block can't have had ends the process with one line.
[[noreturn]] void wrong_size(const void* p, size_t bytes);
TIDE_INLINE void check_size([[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes) {
  if constexpr (TIDE_CHECK >= 1) {
    if (p != nullptr && usable_size(p) < bytes) wrong_size(p, bytes);
  }
}
TIDE_INLINE void release_sized(void* p, size_t bytes, Origin origin = Origin::kMalloc) {
  check_size(p, bytes);
  release_with_size(p, bytes, origin);
}
// What an aligned block was asked for does not say its class.
TIDE_INLINE void release_aligned_sized(void* p, size_t bytes, Origin origin = Origin::kMalloc) {
  check_size(p, bytes);
  release(p, origin);
}

// malloc_trim: 1 when memory went back to the system, else 0. `pad` asks for memory to be kept at
// the top of a heap that can only shrink from there; ours has no such top.
int trim(size_t pad);

// mallopt: 1 for every parameter and value that the C library takes, else 0. None has anything to
// set here; programs that tune the C library's malloc must not take that for a failure.
int set_mallopt(int parameter, int value);

// malloc_info: 0, or EINVAL (also in errno) unless `flags` is 0, or -1 when the stream fails.
int print_malloc_info(int flags, FILE* stream);

// malloc_stats: to standard error.
void print_malloc_stats();

// Usable bytes of a block that malloc(bytes) would give; 0 when no block can be that large.
size_t good_size(size_t bytes);

}  // namespace tide::api
