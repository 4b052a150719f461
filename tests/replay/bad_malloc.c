// An allocator that goes wrong after BAD_AFTER calls in the way that BAD_HOW says: crash, abort,
// exit, hang, null. Until then, and without BAD_HOW, it is the C library's.
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* pointer, size_t size);
void __libc_free(void* pointer);

static atomic_long g_calls;

// True: the call is to fail.
static int goes_wrong(void) {
  const char* const how = getenv("BAD_HOW");
  const char* const after = getenv("BAD_AFTER");
  if (how == NULL || after == NULL || ++g_calls <= atol(after)) return 0;
  if (strcmp(how, "crash") == 0) raise(SIGSEGV);
  if (strcmp(how, "exit") == 0) _exit(9);
  if (strcmp(how, "abort") == 0) {
    static const char kWord[] = "bad_malloc: the heap is broken\n";
    if (write(2, kWord, sizeof kWord - 1) < 0) return 0;
    abort();
  }
  while (strcmp(how, "hang") == 0) pause();
  return strcmp(how, "null") == 0;
}

void* malloc(size_t size) { return goes_wrong() ? NULL : __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return goes_wrong() ? NULL : __libc_calloc(count, size); }
void* realloc(void* pointer, size_t size) {
  return goes_wrong() ? NULL : __libc_realloc(pointer, size);
}
void free(void* pointer) { __libc_free(pointer); }
