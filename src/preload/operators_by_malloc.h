// operator new and delete for programs whose next library defines none: C programs that load C++
// plugins. By the next malloc and free, with what the standard wants of a failure.
#pragma once

#include <cstddef>

namespace tide::preload {

void* new_by_malloc(size_t bytes);
void* new_by_malloc_nothrow(size_t bytes, const void*);
void* new_by_malloc_aligned(size_t bytes, size_t alignment);
void* new_by_malloc_aligned_nothrow(size_t bytes, size_t alignment, const void*);

void delete_by_free(void* p);
void delete_by_free_nothrow(void* p, const void*);
void delete_by_free_sized(void* p, size_t);
void delete_by_free_aligned_nothrow(void* p, size_t, const void*);
void delete_by_free_sized_aligned(void* p, size_t, size_t);

}  // namespace tide::preload
