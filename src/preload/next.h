// The functions that would serve the program if this library were not there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "probe/thread_stream.h"
#include "sys/libc_functions.h"
#include "sys/next_symbol.h"

namespace tide::preload {

// Forms of operator new and delete that nothing after us defines are those of
// operators_by_malloc.h.
struct NextFunctions {
  void* (*malloc)(size_t);
  void (*free)(void*);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void* (*reallocarray)(void*, size_t, size_t);
  void* (*aligned_alloc)(size_t, size_t);
  int (*posix_memalign)(void**, size_t, size_t);
  void* (*memalign)(size_t, size_t);
  void* (*valloc)(size_t);
  void* (*pvalloc)(size_t);
  void (*free_sized)(void*, size_t);
  void (*free_aligned_sized)(void*, size_t, size_t);
  size_t (*malloc_usable_size)(void*);

  void* (*new_block)(size_t);
  void* (*new_array)(size_t);
  void* (*new_nothrow)(size_t, const void*);
  void* (*new_array_nothrow)(size_t, const void*);
  void* (*new_aligned)(size_t, size_t);
  void* (*new_array_aligned)(size_t, size_t);
  void* (*new_aligned_nothrow)(size_t, size_t, const void*);
  void* (*new_array_aligned_nothrow)(size_t, size_t, const void*);
  void (*delete_block)(void*);
  void (*delete_array)(void*);
  void (*delete_nothrow)(void*, const void*);
  void (*delete_array_nothrow)(void*, const void*);
  void (*delete_sized)(void*, size_t);
  void (*delete_array_sized)(void*, size_t);
  void (*delete_aligned)(void*, size_t);
  void (*delete_array_aligned)(void*, size_t);
  void (*delete_aligned_nothrow)(void*, size_t, const void*);
  void (*delete_array_aligned_nothrow)(void*, size_t, const void*);
  void (*delete_sized_aligned)(void*, size_t, size_t);
  void (*delete_array_sized_aligned)(void*, size_t, size_t);

  void* (*mmap)(void*, size_t, int, int, int, int64_t);
  int (*munmap)(void*, size_t);
  void* (*mremap)(void*, size_t, size_t, int, void*);
  int (*madvise)(void*, size_t, int);

  // See probe/entry.h.
  static probe::ThreadStream* open();
  static bool is_untried();  // open() has yet to be called
  static bool hides(const void* p);
};

// Until find_next_functions() has been called: those of bootstrap.h, and the system calls.
extern constinit NextFunctions g_next;

// What calls mmap and its like for the allocator's own purposes, or ours.
extern constinit sys::CodeRange g_allocator_code;
extern constinit sys::CodeRange g_own_code;

// May call malloc and its family itself, and gets blocks of bootstrap.h then.
void find_next_functions();

// The object that serves the program's calls: a program with a malloc of its own in it is it.
std::string_view allocator_path();
// This library; empty: not known.
std::string_view own_path();
// Where it says which path a call took, from the thread pointer on (probe::Recording::path_at).
ptrdiff_t place_of_path();

// Another function of the program's that we define, looked up on the first call: `found` keeps it.
// Only for what is called seldom and must be there.
template <class Function>
Function* next_function(Function*& found, const char* name) {
  Function* function = __atomic_load_n(&found, __ATOMIC_RELAXED);
  if (function == nullptr) {
    function = reinterpret_cast<Function*>(sys::next_symbol(name));
    __atomic_store_n(&found, function, __ATOMIC_RELAXED);
  }
  return function;
}

}  // namespace tide::preload
