// The calls themselves: to the allocator under test, or to nobody.
//
// What not every C library or allocator has is asked for weakly, and played by what it means there:
// operator new by malloc, as where no C++ library is loaded. Recorded C programs don't need one, so
// the player has none.
#pragma once

#include <malloc.h>
#include <stdlib.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/compiler.h"
#include "format/trace_call.h"
#include "player/operations.h"

extern "C" {
[[gnu::weak]] void free_sized(void* pointer, size_t size);
[[gnu::weak]] void free_aligned_sized(void* pointer, size_t alignment, size_t size);
[[gnu::weak]] void* _Znwm(size_t size);
[[gnu::weak]] void* _Znam(size_t size);
[[gnu::weak]] void* _ZnwmSt11align_val_t(size_t size, size_t alignment);
[[gnu::weak]] void* _ZnamSt11align_val_t(size_t size, size_t alignment);
[[gnu::weak]] void _ZdlPv(void* pointer);
[[gnu::weak]] void _ZdaPv(void* pointer);
[[gnu::weak]] void _ZdlPvm(void* pointer, size_t size);
[[gnu::weak]] void _ZdaPvm(void* pointer, size_t size);
[[gnu::weak]] void _ZdlPvSt11align_val_t(void* pointer, size_t alignment);
[[gnu::weak]] void _ZdaPvSt11align_val_t(void* pointer, size_t alignment);
[[gnu::weak]] void _ZdlPvmSt11align_val_t(void* pointer, size_t size, size_t alignment);
[[gnu::weak]] void _ZdaPvmSt11align_val_t(void* pointer, size_t size, size_t alignment);
}

namespace tide::player {

using format::Call;

struct RealCalls {
  static constexpr bool kIsNull = false;

  // `call` is the operation's, known when it is compiled for the frequent ones.
  static TIDE_INLINE void* allocate(const Operation& operation, Call call, void* old,
                                    uint64_t count) {
    const size_t size = operation.size;
    switch (call) {
      case Call::kMalloc:
        return malloc(size);
      case Call::kCalloc:
        return count == 0 ? calloc(0, 1) : calloc(count, size / count);
      case Call::kRealloc:
        return realloc(old, size);
      case Call::kReallocarray:
        return count == 0 ? reallocarray(old, 0, 1) : reallocarray(old, count, size / count);
      case Call::kNew:
        return _Znwm != nullptr ? _Znwm(size) : malloc(size);
      case Call::kNewArray:
        return _Znam != nullptr ? _Znam(size) : malloc(size);
      default:
        return allocate_specially(operation);
    }
  }

  static TIDE_INLINE void release(const Operation& operation, Call call, void* pointer,
                                  uint64_t size) {
    const bool has_size = (operation.flags & Operation::kHasSize) != 0;
    switch (call) {
      case Call::kFree:
        return free(pointer);
      case Call::kDelete:
        if (_ZdlPv == nullptr) return free(pointer);
        return has_size && _ZdlPvm != nullptr ? _ZdlPvm(pointer, size) : _ZdlPv(pointer);
      case Call::kDeleteArray:
        if (_ZdaPv == nullptr) return free(pointer);
        return has_size && _ZdaPvm != nullptr ? _ZdaPvm(pointer, size) : _ZdaPv(pointer);
      default:
        return release_specially(operation, pointer, size);
    }
  }

  static void* allocate_specially(const Operation& operation);
  static void release_specially(const Operation& operation, void* pointer, uint64_t size);
};

// Calls nobody; its blocks are all the same memory.
struct NullCalls {
  static constexpr bool kIsNull = true;
  static constexpr size_t kBytes = size_t{1} << 20;
  static uint8_t* memory;  // resident

  static TIDE_INLINE void* allocate(const Operation&, Call, void*, uint64_t) { return memory; }
  static TIDE_INLINE void release(const Operation&, Call, void* pointer, uint64_t) {
    // As a call would, it takes the argument.
    __asm__ __volatile__("" : : "r"(pointer));
  }
};

// Asks the allocator to give back what it can: malloc_trim, or its own call for that.
void trim_memory();

}  // namespace tide::player
