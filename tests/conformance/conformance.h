// What the conformance programs share: cases chosen by name, one line on failure, figures of the
// own process read without allocating.
//
// A program is a table of cases: `program CASE` runs one of them. It prints nothing and exits with
// 0, or prints one line that names file, line and case and exits with 1; 77 says that this machine
// cannot run the case, with the reason. Plain C and C++, no Tide headers: the programs are for any
// malloc.
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

struct Case {
  const char* name;
  void (*run)(void);
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// Fails the case with a printf-like text.
#define FAIL(...) conformance_stop(1, __FILE__, __LINE__, __VA_ARGS__)

#define CHECK(condition, ...)            \
  do {                                   \
    if (!(condition)) FAIL(__VA_ARGS__); \
  } while (0)

// Leaves the case unrun.
#define SKIP(...) conformance_stop(77, __FILE__, __LINE__, __VA_ARGS__)

__attribute__((noreturn, format(printf, 4, 5))) void conformance_stop(int status, const char* file,
                                                                      int line, const char* format,
                                                                      ...);
int conformance_main(const struct Case* cases, size_t count, int argc, char** argv);

// A value and a pointer that the compiler knows nothing about, so that it cannot fold a call away
// or warn of what the case does on purpose.
static inline size_t opaque(size_t value) {
  __asm__ volatile("" : "+r"(value));
  return value;
}
static inline void* opaque_pointer(void* p) {
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

static inline int is_aligned(const void* p, size_t alignment) {
  return ((uintptr_t)p & (alignment - 1)) == 0;
}

// Every byte depends on the seed and on its place.
void fill(void* p, size_t bytes, uint32_t seed);
int is_filled(const void* p, size_t bytes, uint32_t seed);
int is_zero(const void* p, size_t bytes);

// xorshift32; the state must not be 0.
static inline uint32_t next_random(uint32_t* state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

size_t resident_kib(void);         // smaps_rollup: exact, unlike statm
size_t address_space_bytes(void);  // what RLIMIT_AS counts
size_t mapping_count(void);
int maps_mention(const char* text);  // a line of /proc/self/maps contains it
double seconds_now(void);

#ifdef __cplusplus
}
#endif
