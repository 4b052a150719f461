// The dynamic loader's side: libraries that come and go, constructors and destructors that
// allocate, the allocator itself opened at run time, and what it brings along.
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/conformance/conformance.h"

// Before any constructor, of libraries too.
static char* g_early;
static void before_constructors(void) {
  g_early = malloc(1234);
  if (g_early != NULL) memset(g_early, 'e', 1234);
}
__attribute__((section(".preinit_array"),
               used)) static void (*const g_before)(void) = before_constructors;

static char* g_constructed;
__attribute__((constructor(101))) static void construct(void) {
  g_constructed = calloc(10, 100);
  free(malloc(50000));
}
__attribute__((destructor(101))) static void destruct(void) {
  free(g_constructed);
  free(malloc(300000));
}

static void constructors(void) {
  CHECK(g_early != NULL && g_early[0] == 'e' && g_early[1233] == 'e', "malloc in .preinit_array");
  g_early = realloc(g_early, 5000);
  CHECK(g_early != NULL && g_early[1233] == 'e', "realloc of a block from .preinit_array");
  free(g_early);
  CHECK(g_constructed != NULL && is_zero(g_constructed, 1000), "calloc in a constructor");
}

static void no_cxx_runtime(void) {
  free(malloc(100));
  CHECK(!maps_mention("libstdc++"), "a C program has libstdc++ loaded");
  CHECK(!maps_mention("libgcc_s"), "a C program has libgcc_s loaded");
  CHECK(!maps_mention("libm.so"), "a C program has libm loaded");
}

static const char* environment(const char* name) {
  const char* value = getenv(name);
  CHECK(value != NULL, "%s is not set; start this case through run.py", name);
  return value;
}

typedef void* (*PluginMake)(size_t);
typedef void (*PluginTake)(void*);
static PluginTake g_take;

static void* use_plugin_in_thread(void* argument) {
  g_take(argument);
  return malloc(77);
}

static void plugins_come_and_go(void) {
  const char* path = environment("CONFORMANCE_PLUGIN");
  void* kept[300];
  size_t before = 0;
  for (size_t i = 0; i < COUNT_OF(kept); ++i) {
    if (i == 50) before = resident_kib();
    void* plugin = dlopen(path, RTLD_NOW);
    CHECK(plugin != NULL, "dlopen %zu: %s", i, dlerror());
    const PluginMake make = (PluginMake)dlsym(plugin, "plugin_make");
    g_take = (PluginTake)dlsym(plugin, "plugin_take");
    CHECK(make != NULL && g_take != NULL, "the plugin has no entry");
    kept[i] = make(100 + i);
    CHECK(is_filled(kept[i], 100 + i, 1), "the plugin's block is not filled");
    g_take(malloc(5000));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, use_plugin_in_thread, malloc(200)) == 0, "no thread");
    void* from_thread;
    pthread_join(thread, &from_thread);
    free(from_thread);
    CHECK(dlclose(plugin) == 0, "dlclose: %s", dlerror());
  }
  const size_t after = resident_kib();
  CHECK(after < before + 2048, "250 times dlopen and dlclose: RSS grew from %zu to %zu KiB", before,
        after);
  for (size_t i = 0; i < COUNT_OF(kept); ++i) {
    CHECK(is_filled(kept[i], 100 + i, 1), "a block changed after its library was gone");
    free(kept[i]);
  }
}

static void* use_opened(void* argument) {
  void* const library = argument;
  void* (*const allocate)(size_t) = (void* (*)(size_t))dlsym(library, "malloc");
  void (*const release)(void*) = (void (*)(void*))dlsym(library, "free");
  CHECK(allocate != NULL && release != NULL, "the opened library has no malloc");
  for (size_t size = 1; size < (50u << 20); size *= 3) {
    char* p = allocate(size);
    CHECK(p != NULL, "the opened library's malloc(%zu) gave NULL", size);
    p[0] = p[size - 1] = 1;
    release(p);
  }
  return NULL;
}

// The library under test as a plugin: preloaded already, or (another case of the driver) not.
static void opened_at_run_time(void) {
  const char* path = environment("CONFORMANCE_LIBRARY");
  void* mine = malloc(1000);
  for (int i = 0; i < 20; ++i) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL, "dlopen: %s", dlerror());
    use_opened(library);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, use_opened, library) == 0, "no thread");
    pthread_join(thread, NULL);
    CHECK(dlclose(library) == 0, "dlclose: %s", dlerror());
  }
  free(mine);
}

// A namespace of its own has a C library of its own, with a malloc of its own.
static void second_namespace(void) {
  void* other = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
  CHECK(other != NULL, "dlmopen: %s", dlerror());
  void* (*const allocate)(size_t) = (void* (*)(size_t))dlsym(other, "malloc");
  void (*const release)(void*) = (void (*)(void*))dlsym(other, "free");
  for (size_t size = 1; size < (10u << 20); size *= 3) {
    void* theirs = allocate(size);
    void* ours = malloc(size);
    memset(theirs, 1, size);
    memset(ours, 2, size);
    release(theirs);
    free(ours);
  }
  dlclose(other);
}

static void at_exit_late(void) {
  void* p = malloc(2000);
  memset(p, 1, 2000);
  free(p);
  free(g_early);
}
static void exit_handlers(void) {
  for (int i = 0; i < 100; ++i) CHECK(atexit(at_exit_late) == 0, "atexit");
  g_early = NULL;
  free(malloc(100));
  exit(0);
}

static const struct Case kCases[] = {
    {"constructors", constructors},
    {"no_cxx_runtime", no_cxx_runtime},
    {"plugins_come_and_go", plugins_come_and_go},
    {"opened_at_run_time", opened_at_run_time},
    {"second_namespace", second_namespace},
    {"exit_handlers", exit_handlers},
};

int main(int argc, char** argv) { return conformance_main(kCases, COUNT_OF(kCases), argc, argv); }
