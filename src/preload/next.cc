#include "preload/next.h"

#include <cerrno>
#include <cstring>

#include "preload/bootstrap.h"
#include "preload/operators_by_malloc.h"
#include "sys/memory_calls.h"
#include "sys/path_taken.h"
#include "sys/vm.h"

namespace tide::preload {

namespace {

void* first_malloc(size_t bytes) { return bootstrap_allocate(16, bytes); }

void* first_calloc(size_t count, size_t bytes) {
  size_t all;
  return __builtin_mul_overflow(count, bytes, &all) ? nullptr : bootstrap_allocate(16, all);
}

void* first_realloc(void* p, size_t bytes) {
  void* const block = bootstrap_allocate(16, bytes);
  if (p == nullptr || block == nullptr) return block;
  const size_t old = bootstrap_usable_size(p);
  memcpy(block, p, old < bytes ? old : bytes);
  return block;
}

void* first_reallocarray(void* p, size_t count, size_t bytes) {
  size_t all;
  return __builtin_mul_overflow(count, bytes, &all) ? nullptr : first_realloc(p, all);
}

int first_posix_memalign(void** result, size_t alignment, size_t bytes) {
  *result = bootstrap_allocate(alignment, bytes);
  return *result == nullptr ? ENOMEM : 0;
}

void* first_valloc(size_t bytes) { return bootstrap_allocate(sys::LinuxVm{}.page_size(), bytes); }

// What is freed here is of bootstrap.h, too.
void first_free(void*) {}

using NextMremap = void* (*)(void*, size_t, size_t, int, ...);
constinit NextMremap g_next_mremap = nullptr;

void* call_mremap(void* p, size_t old_bytes, size_t new_bytes, int flags, void* to) {
  return sys::has_new_address(flags) ? g_next_mremap(p, old_bytes, new_bytes, flags, to)
                                     : g_next_mremap(p, old_bytes, new_bytes, flags);
}

char g_path[1024];
size_t g_path_length = 0;
char g_own_path[1024];
size_t g_own_path_length = 0;
ptrdiff_t g_place_of_path = 0;

template <class Function>
void find(Function*& next, const char* name) {
  if (void* const found = sys::next_symbol(name)) next = reinterpret_cast<Function*>(found);
}

// Names for 64-bit machines; elsewhere none is found, and all goes by malloc and free.
void find_operators(NextFunctions& next) {
  find(next.new_block, "_Znwm");
  find(next.new_array, "_Znam");
  find(next.new_nothrow, "_ZnwmRKSt9nothrow_t");
  find(next.new_array_nothrow, "_ZnamRKSt9nothrow_t");
  find(next.new_aligned, "_ZnwmSt11align_val_t");
  find(next.new_array_aligned, "_ZnamSt11align_val_t");
  find(next.new_aligned_nothrow, "_ZnwmSt11align_val_tRKSt9nothrow_t");
  find(next.new_array_aligned_nothrow, "_ZnamSt11align_val_tRKSt9nothrow_t");
  find(next.delete_block, "_ZdlPv");
  find(next.delete_array, "_ZdaPv");
  find(next.delete_nothrow, "_ZdlPvRKSt9nothrow_t");
  find(next.delete_array_nothrow, "_ZdaPvRKSt9nothrow_t");
  find(next.delete_sized, "_ZdlPvm");
  find(next.delete_array_sized, "_ZdaPvm");
  find(next.delete_aligned, "_ZdlPvSt11align_val_t");
  find(next.delete_array_aligned, "_ZdaPvSt11align_val_t");
  find(next.delete_aligned_nothrow, "_ZdlPvSt11align_val_tRKSt9nothrow_t");
  find(next.delete_array_aligned_nothrow, "_ZdaPvSt11align_val_tRKSt9nothrow_t");
  find(next.delete_sized_aligned, "_ZdlPvmSt11align_val_t");
  find(next.delete_array_sized_aligned, "_ZdaPvmSt11align_val_t");
}

// Where the object that serves the calls says which path they take, if it is Tide; else a byte of
// our own, which nobody writes.
ptrdiff_t find_path() {
  using TidePath = const uint8_t*();
  TidePath* path = nullptr;
  find(path, "tide_path_taken");
  const bool is_tides =
      path != nullptr && g_allocator_code.contains(reinterpret_cast<const void*>(path));
  return is_tides && sys::kKnowsThreadPointer
             ? reinterpret_cast<const char*>(path()) - sys::thread_pointer()
             : sys::place_of_path();
}

}  // namespace

constinit NextFunctions g_next{
    .malloc = first_malloc,
    .free = first_free,
    .calloc = first_calloc,
    .realloc = first_realloc,
    .reallocarray = first_reallocarray,
    .aligned_alloc = bootstrap_allocate,
    .posix_memalign = first_posix_memalign,
    .memalign = bootstrap_allocate,
    .valloc = first_valloc,
    .pvalloc = first_valloc,
    .free_sized = delete_by_free_sized,  // where the C library lacks the C23 forms
    .free_aligned_sized = delete_by_free_sized_aligned,
    .malloc_usable_size = nullptr,
    .new_block = new_by_malloc,
    .new_array = new_by_malloc,
    .new_nothrow = new_by_malloc_nothrow,
    .new_array_nothrow = new_by_malloc_nothrow,
    .new_aligned = new_by_malloc_aligned,
    .new_array_aligned = new_by_malloc_aligned,
    .new_aligned_nothrow = new_by_malloc_aligned_nothrow,
    .new_array_aligned_nothrow = new_by_malloc_aligned_nothrow,
    .delete_block = delete_by_free,
    .delete_array = delete_by_free,
    .delete_nothrow = delete_by_free_nothrow,
    .delete_array_nothrow = delete_by_free_nothrow,
    .delete_sized = delete_by_free_sized,
    .delete_array_sized = delete_by_free_sized,
    .delete_aligned = delete_by_free_sized,
    .delete_array_aligned = delete_by_free_sized,
    .delete_aligned_nothrow = delete_by_free_aligned_nothrow,
    .delete_array_aligned_nothrow = delete_by_free_aligned_nothrow,
    .delete_sized_aligned = delete_by_free_sized_aligned,
    .delete_array_sized_aligned = delete_by_free_sized_aligned,
    .mmap = sys::direct_mmap,
    .munmap = sys::direct_munmap,
    .mremap = sys::direct_mremap,
    .madvise = sys::direct_madvise,
};

constinit sys::CodeRange g_allocator_code{};
constinit sys::CodeRange g_own_code{};

void find_next_functions() {
  NextFunctions next = g_next;
  find(next.malloc, "malloc");
  find(next.free, "free");
  find(next.calloc, "calloc");
  find(next.realloc, "realloc");
  find(next.reallocarray, "reallocarray");
  find(next.aligned_alloc, "aligned_alloc");
  find(next.posix_memalign, "posix_memalign");
  find(next.memalign, "memalign");
  find(next.valloc, "valloc");
  find(next.pvalloc, "pvalloc");
  find(next.free_sized, "free_sized");
  find(next.free_aligned_sized, "free_aligned_sized");
  find(next.malloc_usable_size, "malloc_usable_size");
  find_operators(next);
  find(next.mmap, "mmap");
  find(next.munmap, "munmap");
  find(g_next_mremap, "mremap");
  if (g_next_mremap != nullptr) next.mremap = call_mremap;
  find(next.madvise, "madvise");

  base::TextWriter path(g_path, sizeof g_path);
  base::TextWriter own(g_own_path, sizeof g_own_path);
  g_own_code = sys::object_of(reinterpret_cast<const void*>(&find_next_functions), own);
  g_own_path_length = own.length();
  const void* const first = sys::first_symbol("malloc");
  const bool is_ours = first == nullptr || g_own_code.contains(first);
  const void* const serves = is_ours ? reinterpret_cast<const void*>(next.malloc) : first;
  g_allocator_code = sys::object_of(serves, path);
  g_path_length = path.length();
  g_place_of_path = find_path();
  sys::forget_symbol_errors();
  g_next = next;
}

ptrdiff_t place_of_path() { return g_place_of_path; }

std::string_view own_path() { return {g_own_path, g_own_path_length}; }

std::string_view allocator_path() { return {g_path, g_path_length}; }

}  // namespace tide::preload
