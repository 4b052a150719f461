// Programs that tests/heap/running_test.py looks at while they run.
//
//   running busy       keeps 1000 blocks and allocates and frees others on four threads
//   running spread     keeps a block of each of many sizes, whose slabs are nearly untouched
//   running reserve    has 8 GiB that may be read, with a pointer to a block in the middle
//   running trace PID  traces another process
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <unistd.h>

enum { kKept = 1000, kThreads = 4, kSlots = 2000 };

static void* g_kept[kKept];

static void* work(void* number) {
  static void* slots[kThreads][kSlots];
  void** const mine = slots[(intptr_t)number];
  uint64_t random = (uint64_t)(intptr_t)number + 1;
  for (;;) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    void** const slot = &mine[(random >> 40) % kSlots];
    free(*slot);
    *slot = malloc((random >> 20) % 3000);
  }
  return NULL;
}

static int spread(void) {
  for (int i = 0; i < kKept; ++i) {
    const size_t bytes = (size_t)i * 60 + 8;
    g_kept[i] = malloc(bytes);
    memset(g_kept[i], 1, bytes);
  }
  return 0;
}

static int busy(void) {
  printf("kept");
  for (int i = 0; i < kKept; ++i) {
    g_kept[i] = malloc((size_t)i * 7 % 2500 + 1);
    printf(" %p", g_kept[i]);
  }
  puts("");
  for (intptr_t i = 0; i < kThreads; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, (void*)i) != 0) return 1;
  }
  return 0;
}

static int reserve(void) {
  const size_t bytes = (size_t)8 << 30;
  char* const room =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return 1;
  madvise(room, bytes, MADV_NOHUGEPAGE);
  void* const anchored = malloc(100);
  printf("anchored %p\n", anchored);
  memcpy(room + bytes / 2 + 4096 + 8, &anchored, sizeof anchored);
  return 0;
}

int main(int count, char** words) {
  if (count == 3 && strcmp(words[1], "trace") == 0) {
    const int status = (int)ptrace(PTRACE_SEIZE, atoi(words[2]), NULL, NULL);
    puts(status == 0 ? "traced" : "refused");
    fflush(stdout);
    for (;;) pause();
  }
  if (count != 2) return 2;
  const int status = strcmp(words[1], "busy") == 0     ? busy()
                     : strcmp(words[1], "spread") == 0 ? spread()
                                                       : reserve();
  if (status != 0) return status;
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}
