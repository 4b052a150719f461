// What the programs with one mistake per case share: the table of cases, looked up by name, and how
// a pointer is kept from the compiler. Plain C, no Tide headers.
#pragma once

#include <stddef.h>
#include <string.h>

struct Case {
  const char* name;
  void (*run)(void);
};

#define CASE(name) \
  { #name, name }

// The function of the case called `name`, or NULL. `table` is an array.
#define FIND_CASE(table, name) find_case(table, sizeof(table) / sizeof((table)[0]), name)

static inline void (*find_case(const struct Case* cases, size_t count, const char* name))(void) {
  for (size_t i = 0; i < count; ++i) {
    if (strcmp(cases[i].name, name) == 0) return cases[i].run;
  }
  return NULL;
}

// The same pointer; the compiler neither warns about what is done with it nor takes advantage.
static inline void* opaque(void* p) {
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}
