// Holds sixteen blocks of 50,000 bytes and aborts, or waits.
//
//   sampled [wait]
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void* blocks[16];

__attribute__((noinline)) void allocate_all(void) {
  for (int i = 0; i < 16; ++i) blocks[i] = malloc(50000);
}

int main(int argc, char** argv) {
  (void)argv;
  free(malloc(1));  // a thread's first allocation is not looked at
  allocate_all();
  if (argc < 2) abort();
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}
