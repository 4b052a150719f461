#include "player/calls.h"

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>

extern "C" {
[[gnu::weak]] int mallctl(const char* name, void* old, size_t* old_bytes, void* value,
                          size_t value_bytes);
[[gnu::weak]] void mi_collect(bool force);
[[gnu::weak]] void MallocExtension_ReleaseFreeMemory(void);
[[gnu::weak]] int scalable_allocation_command(int command, void* argument);
[[gnu::weak]] void __scudo_print_stats(void);
}

namespace tide::player {

uint8_t* NullCalls::memory = nullptr;

namespace {

size_t alignment_of(const Operation& operation) {
  const size_t alignment = size_t{1} << operation.alignment_log;
  return alignment < sizeof(void*) ? sizeof(void*) : alignment;
}

void* by_posix_memalign(size_t alignment, size_t size) {
  void* pointer = nullptr;
  return posix_memalign(&pointer, alignment, size) == 0 ? pointer : nullptr;
}

template <class Function>
const void* address_of(Function* function) {
  return reinterpret_cast<const void*>(function);
}

// Whether the allocator under test has no such function: then it is the C library's, and so are its
// blocks, which the allocator's free() does not know. jemalloc has no pvalloc().
class Missing {
 public:
  bool is_so(const void* function) {
    State known = known_.load(std::memory_order_relaxed);
    if (known == State::kUnknown) {
      Dl_info its, of_malloc;
      const bool is_found =
          dladdr(function, &its) != 0 && dladdr(address_of(&malloc), &of_malloc) != 0;
      known = is_found && its.dli_fbase != of_malloc.dli_fbase ? State::kYes : State::kNo;
      known_.store(known, std::memory_order_relaxed);
    }
    return known == State::kYes;
  }

 private:
  enum class State : uint8_t { kUnknown, kNo, kYes };
  std::atomic<State> known_ = State::kUnknown;
};

constinit Missing no_aligned_alloc, no_memalign, no_valloc, no_pvalloc;

void* by_pages(size_t size, bool are_whole) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return by_posix_memalign(page, are_whole ? (size + page - 1) & ~(page - 1) : size);
}

}  // namespace

void* RealCalls::allocate_specially(const Operation& operation) {
  const size_t size = operation.size;
  const size_t alignment = alignment_of(operation);
  switch (operation.call) {
    case Call::kAlignedAlloc: {
      if (no_aligned_alloc.is_so(address_of(&aligned_alloc))) {
        return by_posix_memalign(alignment, size);
      }
      void* const pointer = aligned_alloc(alignment, size);
      // Some want the size to be a multiple, as C11 did; the program got its block.
      return pointer != nullptr ? pointer : by_posix_memalign(alignment, size);
    }
    case Call::kPosixMemalign:
      return by_posix_memalign(alignment, size);
    case Call::kMemalign:
      return no_memalign.is_so(address_of(&memalign)) ? by_posix_memalign(alignment, size)
                                                      : memalign(alignment, size);
    case Call::kValloc:
      return no_valloc.is_so(address_of(&valloc)) ? by_pages(size, false) : valloc(size);
    case Call::kPvalloc:
      return no_pvalloc.is_so(address_of(&pvalloc)) ? by_pages(size, true) : pvalloc(size);
    case Call::kNewForm: {
      const bool is_array = (operation.form & format::kFormArray) != 0;
      if ((operation.form & format::kFormAligned) != 0) {
        const auto aligned = is_array ? _ZnamSt11align_val_t : _ZnwmSt11align_val_t;
        return aligned != nullptr ? aligned(size, alignment) : by_posix_memalign(alignment, size);
      }
      // Without memory nothing may be thrown here.
      const auto plain = is_array ? _Znam : _Znwm;
      return plain != nullptr ? plain(size) : malloc(size);
    }
    default:
      return nullptr;
  }
}

void RealCalls::release_specially(const Operation& operation, void* pointer, uint64_t size) {
  const size_t alignment = alignment_of(operation);
  switch (operation.call) {
    case Call::kFreeSized:
      return free_sized != nullptr ? free_sized(pointer, size) : free(pointer);
    case Call::kFreeAlignedSized:
      return free_aligned_sized != nullptr ? free_aligned_sized(pointer, alignment, size)
                                           : free(pointer);
    case Call::kDeleteForm: {
      const bool is_array = (operation.form & format::kFormArray) != 0;
      const bool is_sized = (operation.form & format::kFormSized) != 0;
      if ((operation.form & format::kFormAligned) != 0) {
        const auto sized = is_array ? _ZdaPvmSt11align_val_t : _ZdlPvmSt11align_val_t;
        if (is_sized && sized != nullptr) return sized(pointer, size, alignment);
        const auto aligned = is_array ? _ZdaPvSt11align_val_t : _ZdlPvSt11align_val_t;
        return aligned != nullptr ? aligned(pointer, alignment) : free(pointer);
      }
      const auto plain = is_array ? _ZdaPv : _ZdlPv;
      return plain != nullptr ? plain(pointer) : free(pointer);
    }
    default:
      return free(pointer);
  }
}

void trim_memory() {
  if (mallctl != nullptr) {
    // MALLCTL_ARENAS_ALL
    mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);
  } else if (mi_collect != nullptr) {
    mi_collect(true);
  } else if (MallocExtension_ReleaseFreeMemory != nullptr) {
    MallocExtension_ReleaseFreeMemory();
  } else if (scalable_allocation_command != nullptr) {
    scalable_allocation_command(0, nullptr);  // TBBMALLOC_CLEAN_ALL_BUFFERS
  } else if (__scudo_print_stats != nullptr) {
    mallopt(-101, 0);  // M_PURGE
  } else {
    malloc_trim(0);
  }
}

}  // namespace tide::player
