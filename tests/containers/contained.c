/* Holds 4 MiB in blocks of 4 KiB, taken by a function whose name (HOLDS) tells one build of this
 * program from another, and waits for the end of its input. The builds differ in nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of libtide-trace.so. */
extern int tide_trace_sync(void) __attribute__((weak));

enum { kBlocks = 1024, kBytes = 4096 };

void* HOLDS(size_t bytes);
static void** held[kBlocks];

__attribute__((noinline)) void* HOLDS(size_t bytes) {
  void** block = malloc(bytes);
  memset(block, 0, bytes);
  block[0] = (void*)HOLDS; /* for `tide heap examine` */
  return block;
}

int main(int count, char** words) {
  char line[16];
  for (int i = 0; i < kBlocks; i++) held[i] = HOLDS(kBytes);
  if (tide_trace_sync != NULL) tide_trace_sync();
  if (count > 1 && strcmp(words[1], "exit") == 0) return 0;
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) continue;
  return held[0] == NULL;
}
