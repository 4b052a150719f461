// A library that is opened and closed: allocates in its constructor, frees in its destructor, and
// has a thread-local block besides.
#include <stdlib.h>

#include "tests/conformance/conformance.h"

void* plugin_make(size_t bytes);
void plugin_take(void* p);

static void* g_held[50];
static _Thread_local char t_buffer[64];

__attribute__((constructor)) static void open_plugin(void) {
  for (size_t i = 0; i < COUNT_OF(g_held); ++i) g_held[i] = calloc(1, 10 + i * 100);
}

__attribute__((destructor)) static void close_plugin(void) {
  for (size_t i = 0; i < COUNT_OF(g_held); ++i) free(g_held[i]);
}

void* plugin_make(size_t bytes) {
  void* p = malloc(bytes);
  fill(p, bytes, 1);
  t_buffer[0] = 1;
  return p;
}

void plugin_take(void* p) {
  t_buffer[1] = 1;
  free(p);
}
