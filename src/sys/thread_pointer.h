// The register that thread-local memory is found by.
#pragma once

namespace tide::sys {

// thread_pointer() is where it points. A thread that the C library has not made needs memory around
// that, zero and as prepare_thread_pointer() leaves it.
#if defined(__x86_64__)
inline constexpr bool kKnowsThreadPointer = true;
inline char* thread_pointer() {
  char* self;
  __asm__("mov %%fs:0, %0" : "=r"(self));
  return self;
}
// x86-64 psABI: the first word there is its own address. glibc repeats it.
inline void prepare_thread_pointer(char* pointer) {
  auto* const words = reinterpret_cast<void**>(pointer);
  words[0] = pointer;
  words[2] = pointer;
}
#elif defined(__aarch64__)
inline constexpr bool kKnowsThreadPointer = true;
inline char* thread_pointer() { return static_cast<char*>(__builtin_thread_pointer()); }
// Two words of the loader's, which are needed for what is loaded later only; then variables.
inline void prepare_thread_pointer(char*) {}
#else
inline constexpr bool kKnowsThreadPointer = false;
inline char* thread_pointer() { return nullptr; }
inline void prepare_thread_pointer(char*) {}
#endif

}  // namespace tide::sys
