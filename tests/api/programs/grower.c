/* Allocates a little all the time and says so whenever its limits are others: see cgroup_test.py.

   usage: grower PROCS_FILE; writes its number there first; each line on standard output is
   "SOFT HARD" in bytes; ends when standard input does. Needs tide.h's functions from the preload.
 */
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  void (*get_limits)(size_t*, size_t*) = NULL;
  *(void**)&get_limits = dlsym(RTLD_DEFAULT, "tide_get_limits");
  FILE* procs = argc == 2 ? fopen(argv[1], "w") : NULL;
  if (get_limits == NULL || procs == NULL) return 2;
  fprintf(procs, "%d\n", (int)getpid());
  if (fclose(procs) != 0) return 3;
  size_t soft = 1;
  size_t hard = 1;
  struct pollfd input = {0, POLLIN, 0};
  /* 2 MiB of new memory each 50 ms, of which only the first byte of a page is written. */
  while (poll(&input, 1, 50) == 0) {
    for (int i = 0; i < 32; ++i) {
      char* block = malloc(60000);
      if (block != NULL) memset(block, 1, 100);
    }
    size_t soft_now = 0;
    size_t hard_now = 0;
    get_limits(&soft_now, &hard_now);
    if (soft_now == soft && hard_now == hard) continue;
    soft = soft_now;
    hard = hard_now;
    printf("%zu %zu\n", soft, hard);
    fflush(stdout);
  }
  return 0;
}
