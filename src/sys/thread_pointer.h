// The register that thread-local memory is found by.
#pragma once

namespace tide::sys {

#if defined(__x86_64__)
inline constexpr bool kKnowsThreadPointer = true;
inline char* thread_pointer() {
  char* self;
  __asm__("mov %%fs:0, %0" : "=r"(self));
  return self;
}
#elif defined(__aarch64__)
inline constexpr bool kKnowsThreadPointer = true;
inline char* thread_pointer() { return static_cast<char*>(__builtin_thread_pointer()); }
#else
inline constexpr bool kKnowsThreadPointer = false;
inline char* thread_pointer() { return nullptr; }
#endif

}  // namespace tide::sys
