/* A C program: allocates a little, prints which libraries are mapped, and closes standard error
   like many programs do to see whether their last message got out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  char line[4096];
  FILE* const maps = fopen("/proc/self/maps", "r");
  void* blocks[100];
  if (maps == NULL) return 1;
  while (fgets(line, sizeof line, maps) != NULL) {
    if (strstr(line, ".so") != NULL) fputs(line, stdout);
  }
  fclose(maps);
  for (int i = 0; i < 100; ++i) blocks[i] = malloc((size_t)i * 100);
  for (int i = 0; i < 100; i += 2) free(blocks[i]);
  if (argc > 1 && strcmp(argv[1], "close") == 0) fclose(stderr);
  return 0;
}
