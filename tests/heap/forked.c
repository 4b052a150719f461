/* Threads keep some blocks and free others; a child that is forked meanwhile, in which these
 * threads are no more, writes which are held and which are free, and aborts. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kThreads = 5, kBlocks = 400 };

static void* g_blocks[kThreads][kBlocks];
static int g_ready[2];
static int g_never[2];

static void* fill(void* argument) {
  void** const blocks = argument;
  for (int i = 0; i < kBlocks; ++i) blocks[i] = malloc(16 + 2 * i);
  for (int i = 0; i < kBlocks; i += 2) free(blocks[i]);
  char byte = 0;
  if (write(g_ready[1], &byte, 1) != 1) abort();
  while (read(g_never[0], &byte, 1) != 1) {
  }
  return NULL;
}

int main(void) {
  if (pipe(g_ready) != 0 || pipe(g_never) != 0) return 2;
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    if (pthread_create(&threads[i], NULL, fill, g_blocks[i]) != 0) return 2;
  }
  char byte;
  for (int i = 0; i < kThreads; ++i) {
    if (read(g_ready[0], &byte, 1) != 1) return 2;
  }
  if (fork() == 0) {
    for (int i = 0; i < kThreads * kBlocks; ++i) {
      printf("%s %p\n", i % 2 == 0 ? "free" : "held", g_blocks[i / kBlocks][i % kBlocks]);
    }
    fflush(stdout);
    abort();
  }
  wait(NULL);
  return 0;
}
