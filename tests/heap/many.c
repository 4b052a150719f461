// Holds very many blocks of mixed small sizes and aborts, or waits: what the speed of walks is
// measured with.
//
//   many BLOCKS [wait]
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const size_t count = strtoull(argv[1], NULL, 10);
  void** const blocks = malloc(count * sizeof *blocks);
  if (blocks == NULL) return 3;
  uint64_t random = 1;
  for (size_t i = 0; i < count; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const size_t size = 16 + (random >> 33) % 120;
    void** const block = malloc(size);
    if (block == NULL) return 3;
    // Each leads to an older one, so that questions about references have something to follow.
    block[0] = i == 0 ? NULL : blocks[(random >> 20) % i];
    block[1] = NULL;
    blocks[i] = block;
  }
  // One in eight goes.
  for (size_t i = 0; i < count; i += 8) {
    free(blocks[i]);
    blocks[i] = NULL;
  }
  if (argc < 3) abort();
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}
