// The functions that serve a recorded call in a process on Tide: the bodies of the exported ones
// (malloc.cc, new.cc), under the names that probe/recorded_malloc.h and recorded_new.h ask for.
#pragma once

#include "api/attach.h"
#include "api/c_family.h"
#include "api/operator_new.h"

namespace tide::override {

// No object has anything in it; all is inlined.
struct OwnFunctions {
  static constexpr probe::Opener* open = api::open_attached;
  static bool hides(const void*) { return false; }

  TIDE_INLINE static void* malloc(size_t bytes) { return api::allocate(bytes); }
  TIDE_INLINE static void free(void* p) { api::release(p); }
  TIDE_INLINE static void* calloc(size_t count, size_t bytes) {
    return api::allocate_array(count, bytes);
  }
  TIDE_INLINE static void* realloc(void* p, size_t bytes) { return api::resize(p, bytes); }
  static void* reallocarray(void* p, size_t count, size_t bytes) {
    return api::resize_array(p, count, bytes);
  }
  static void free_sized(void* p, size_t bytes) { api::release_sized(p, bytes); }
  static void free_aligned_sized(void* p, size_t, size_t bytes) {
    api::release_aligned_sized(p, bytes);
  }
  static void* aligned_alloc(size_t alignment, size_t bytes) {
    return api::allocate_c11_aligned(alignment, bytes);
  }
  static int posix_memalign(void** result, size_t alignment, size_t bytes) {
    return api::allocate_posix_aligned(result, alignment, bytes);
  }
  static void* memalign(size_t alignment, size_t bytes) {
    return api::allocate_memalign(alignment, bytes);
  }
  static void* valloc(size_t bytes) { return api::allocate_on_page(bytes); }
  static void* pvalloc(size_t bytes) { return api::allocate_whole_pages(bytes); }
  static size_t malloc_usable_size(void* p) { return api::usable_size(p); }

  TIDE_INLINE static void* new_block(size_t bytes) {
    return api::new_block(bytes, api::Origin::kNew);
  }
  TIDE_INLINE static void* new_array(size_t bytes) {
    return api::new_block(bytes, api::Origin::kNewArray);
  }
  static void* new_nothrow(size_t bytes, const void*) {
    return api::new_block_nothrow(bytes, api::Origin::kNew);
  }
  static void* new_array_nothrow(size_t bytes, const void*) {
    return api::new_block_nothrow(bytes, api::Origin::kNewArray);
  }
  static void* new_aligned(size_t bytes, size_t alignment) {
    return api::new_aligned(bytes, alignment, api::Origin::kNew);
  }
  static void* new_array_aligned(size_t bytes, size_t alignment) {
    return api::new_aligned(bytes, alignment, api::Origin::kNewArray);
  }
  static void* new_aligned_nothrow(size_t bytes, size_t alignment, const void*) {
    return api::new_aligned_nothrow(bytes, alignment, api::Origin::kNew);
  }
  static void* new_array_aligned_nothrow(size_t bytes, size_t alignment, const void*) {
    return api::new_aligned_nothrow(bytes, alignment, api::Origin::kNewArray);
  }
  static void delete_block(void* p) { api::release(p, api::Origin::kNew); }
  static void delete_array(void* p) { api::release(p, api::Origin::kNewArray); }
  static void delete_nothrow(void* p, const void*) { delete_block(p); }
  static void delete_array_nothrow(void* p, const void*) { delete_array(p); }
  static void delete_sized(void* p, size_t bytes) {
    api::release_sized(p, bytes, api::Origin::kNew);
  }
  static void delete_array_sized(void* p, size_t bytes) {
    api::release_sized(p, bytes, api::Origin::kNewArray);
  }
  static void delete_aligned(void* p, size_t) { delete_block(p); }
  static void delete_array_aligned(void* p, size_t) { delete_array(p); }
  static void delete_aligned_nothrow(void* p, size_t, const void*) { delete_block(p); }
  static void delete_array_aligned_nothrow(void* p, size_t, const void*) { delete_array(p); }
  static void delete_sized_aligned(void* p, size_t bytes, size_t) {
    api::release_aligned_sized(p, bytes, api::Origin::kNew);
  }
  static void delete_array_sized_aligned(void* p, size_t bytes, size_t) {
    api::release_aligned_sized(p, bytes, api::Origin::kNewArray);
  }
};

}  // namespace tide::override
