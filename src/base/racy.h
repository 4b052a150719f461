// Loads and stores of words that other threads may read or write at the same time, where any of the
// values written is good: relaxed atomics on plain objects, the same instructions as plain
// accesses.
#pragma once

#include <cstdint>

namespace tide::base {

// GCC says it with a macro, clang with a feature.
#if defined(__has_feature)
#define TIDE_HAS_FEATURE(name) __has_feature(name)
#else
#define TIDE_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || TIDE_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

// Sanitizers that must know every thread of the process.
#if defined(__SANITIZE_ADDRESS__) || TIDE_HAS_FEATURE(address_sanitizer)
inline constexpr bool kKnowsEveryThread = true;
#else
inline constexpr bool kKnowsEveryThread = kThreadSanitizer;
#endif
#undef TIDE_HAS_FEATURE

template <class T>
inline T racy_load(const T& object) {
  T value;
  __atomic_load(const_cast<T*>(&object), &value, __ATOMIC_RELAXED);
  return value;
}

template <class T>
inline void racy_store(T& object, T value) {
  __atomic_store(&object, &value, __ATOMIC_RELAXED);
}

// Stores that make everything before them visible to whoever reads the word with published_load().
template <class T>
inline T published_load(const T& object) {
  T value;
  __atomic_load(const_cast<T*>(&object), &value, __ATOMIC_ACQUIRE);
  return value;
}

template <class T>
inline void published_store(T& object, T value) {
  __atomic_store(&object, &value, __ATOMIC_RELEASE);
}

// What is stored after it is seen after what was stored before it, by readers in another process.
// ThreadSanitizer knows no fences, and nothing of other processes.
inline void fence_for_outsiders() {
  if constexpr (!kThreadSanitizer) __atomic_thread_fence(__ATOMIC_RELEASE);
}

// racy_load() for a word that the compiler may read straight from memory into a compare, which it
// does not do with atomics. Only for words where an old value is as good as the new one.
template <class T>
inline T stale_load(const T& object) {
  if constexpr (kThreadSanitizer) return racy_load(object);
  return object;
}

// racy_store() for a word whose address the compiler may compute within the store.
template <class T>
inline void stale_store(T& object, T value) {
  if constexpr (kThreadSanitizer) return racy_store(object, value);
  object = value;
}

}  // namespace tide::base
