// Attributes and hints of the compiler under names of our own.
// Who may use it: everybody. No state, no OS.
#pragma once

#define TIDE_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define TIDE_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

// For the few functions that make up malloc's and free's fast path.
#define TIDE_INLINE inline __attribute__((always_inline))

// For slow paths: keeps them, and the registers they save, out of the fast path's function.
#define TIDE_NOINLINE __attribute__((noinline))
#define TIDE_COLD __attribute__((noinline, cold))

// For large arrays that are all zero and little used: apart from the small variables, which then
// share a page (cmake/TideOrder.cmake).
#define TIDE_LARGE __attribute__((section(".bss.large")))
// Reads what lies on a stack, whosever it is.
#define TIDE_READS_ANY_STACK __attribute__((no_sanitize("address")))

// Exported from libtide.so; everything else is hidden.
#define TIDE_EXPORT __attribute__((visibility("default")))

// Stays in the program, also when nothing refers to it and the linker drops such sections.
#if __has_attribute(retain)
#define TIDE_KEPT __attribute__((used, retain))
#else
#define TIDE_KEPT __attribute__((used))
#endif

// Clang's thread-safety analysis; other compilers see nothing.
#if defined(__clang__)
#define TIDE_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define TIDE_THREAD_ANNOTATION(x)
#endif
#define TIDE_CAPABILITY(name) TIDE_THREAD_ANNOTATION(capability(name))
#define TIDE_SCOPED_CAPABILITY TIDE_THREAD_ANNOTATION(scoped_lockable)
#define TIDE_GUARDED_BY(lock) TIDE_THREAD_ANNOTATION(guarded_by(lock))
#define TIDE_REQUIRES(...) TIDE_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define TIDE_ACQUIRE(...) TIDE_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define TIDE_TRY_ACQUIRE(...) TIDE_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define TIDE_RELEASE(...) TIDE_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define TIDE_RETURNS_LOCK(lock) TIDE_THREAD_ANNOTATION(lock_returned(lock))
#define TIDE_NO_THREAD_SAFETY_ANALYSIS TIDE_THREAD_ANNOTATION(no_thread_safety_analysis)

// Pins a value to a register at this point. Changes nothing but the compiler's choice of
// instructions: on the fast path it otherwise copies values around or splits an address into
// several additions. tests/checks/fastpath.golden shows what it is worth.
#define TIDE_PIN(value) __asm__("" : "+r"(value))
