/* Holds blocks in a row, damages what is around one of them, writes the address of the one that
 * `check` has to name, and aborts. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kBlocks = 200 };

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const char* const what = argv[1];
  const size_t bytes = strtoul(argv[2], NULL, 10);
  const size_t over = strtoul(argv[3], NULL, 10);
  char* volatile blocks[kBlocks];
  for (int i = 0; i < kBlocks; ++i) {
    blocks[i] = malloc(bytes);
    memset(blocks[i], 'v', bytes);
  }
  char* volatile block = blocks[kBlocks / 2];
  const size_t usable = malloc_usable_size(block);
  const char* const end = strcmp(what, "slack") == 0 ? block + bytes : block + usable;
  if (strcmp(what, "freed") == 0) {
    free(block);
    memset(block, 'w', over);
  } else {
    memset((char*)end, 'w', over); /* an odd byte, as seals have */
  }
  printf("%p\n", (void*)block);
  fflush(stdout);
  abort();
}
