// Example: LD_PRELOAD=build/release/lib/libtide.so build/release/tests/heap/heap_graph_holder wait
//
// Builds graphs of blocks, says on standard output what tide heap must find of them, and then waits
// or aborts. Leaked blocks are remembered with their bits turned round, so that nothing points to
// them; what is left of them below the stack pointer is wiped.
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct node {
  struct node* to[5];
};

struct node* g_tree;
struct node* g_way;
__thread struct node* t_own;
static char g_inside[64] __attribute__((aligned(8)));

static void write_all(const char* text, size_t length) {
  while (length != 0) {
    const ssize_t written = write(STDOUT_FILENO, text, length);
    if (written <= 0) _exit(3);
    text += written;
    length -= (size_t)written;
  }
}

static void say(const char* what, struct node* block, unsigned blocks, unsigned long bytes) {
  char line[160];
  const int length =
      snprintf(line, sizeof line, "%s 0x%lx %zu %u %lu\n", what, (unsigned long)(uintptr_t)block,
               malloc_usable_size(block), blocks, bytes);
  write_all(line, (size_t)length);
}

static struct node* make(size_t bytes) {
  struct node* const node = malloc(bytes);
  memset(node, 0, malloc_usable_size(node));
  return node;
}

static unsigned long size(struct node* node) { return malloc_usable_size(node); }

// Ten single blocks, a chain, a cycle, a diamond, and two heads that share what they lead to.
static void __attribute__((noinline)) leak(void) {
  static const size_t kSizes[] = {1, 24, 100, 1000, 5000, 20000, 70000, 300000, 3000000, 9000000};
  for (int i = 0; i < 10; ++i) {
    struct node* const single = make(kSizes[i]);
    say("leaked", single, 0, 0);
    say("head", single, 1, size(single));
  }
  struct node* chain[5];
  unsigned long bytes = 0;
  for (int i = 0; i < 5; ++i) {
    chain[i] = make(40 + 200 * (size_t)i);
    bytes += size(chain[i]);
    say("leaked", chain[i], 0, 0);
    if (i != 0) chain[i - 1]->to[i % 4] = (struct node*)((char*)chain[i] + (i % 2 ? 24 : 0));
  }
  say("head", chain[0], 5, bytes);

  struct node* cycle[3];
  struct node* lowest = NULL;
  bytes = 0;
  for (int i = 0; i < 3; ++i) {
    cycle[i] = make(64);
    bytes += size(cycle[i]);
    if (lowest == NULL || cycle[i] < lowest) lowest = cycle[i];
    say("leaked", cycle[i], 0, 0);
  }
  for (int i = 0; i < 3; ++i) cycle[i]->to[0] = cycle[(i + 1) % 3];
  say("head", lowest, 3, bytes);

  struct node* diamond[4];
  bytes = 0;
  for (int i = 0; i < 4; ++i) {
    diamond[i] = make(500);
    bytes += size(diamond[i]);
    say("leaked", diamond[i], 0, 0);
  }
  diamond[0]->to[0] = diamond[1];
  diamond[0]->to[1] = diamond[2];
  diamond[1]->to[0] = diamond[2]->to[0] = diamond[3];
  say("head", diamond[0], 4, bytes);

  struct node* const shared = make(4000);
  say("leaked", shared, 0, 0);
  for (int i = 0; i < 2; ++i) {
    struct node* const head = make(80);
    head->to[i] = shared;
    say("leaked", head, 0, 0);
    say("head", head, 1, size(head));
  }
}

// A root with four children of four leaves each; two children also share a block, which only the
// root holds.
static void __attribute__((noinline)) grow(void) {
  g_tree = make(sizeof(struct node));
  struct node* const shared = make(30000);
  unsigned long all = size(g_tree) + size(shared);
  for (int i = 0; i < 4; ++i) {
    struct node* const child = make(sizeof(struct node));
    g_tree->to[i] = child;
    unsigned long bytes = size(child);
    for (int j = 0; j < 4; ++j) {
      child->to[j] = make(100 * (size_t)(i + 1) + (size_t)j);
      bytes += size(child->to[j]);
      say("retained", child->to[j], 1, size(child->to[j]));
    }
    if (i < 2) child->to[4] = shared;
    say("retained", child, 5, bytes);
    all += bytes;
  }
  say("retained", shared, 1, size(shared));
  say("retained", g_tree, 22, all);
}

static void __attribute__((noinline)) lead(void) {
  g_way = make(200);
  struct node* const second = make(2000);
  struct node* const third = make(64);
  g_way->to[2] = second;
  second->to[3] = (struct node*)((char*)third + 8);
  say("path", g_way, 16, 0);
  say("path", second, 24, 0);
  say("path", third, 0, 8);
}

static void __attribute__((noinline)) wipe(void) {
  volatile char room[256 << 10];
  for (size_t i = 0; i < sizeof room; ++i) room[i] = 0;
}

static void* hold(void* ready) {
  struct node* volatile on_stack = make(120);
  t_own = make(121);
  say("stack", on_stack, 0, 0);
  say("thread-local", t_own, 0, 0);
  wipe();
  pthread_barrier_wait(ready);
  for (;;) pause();
  return on_stack;
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  static pthread_barrier_t ready;
  pthread_barrier_init(&ready, NULL, 2);
  leak();
  grow();
  lead();
  struct node* const inside = make(300);
  memcpy(g_inside + 8, &(void*){(char*)inside + 299}, sizeof(void*));
  say("inside", inside, 0, 0);
  wipe();
  pthread_t thread;
  pthread_create(&thread, NULL, hold, &ready);
  pthread_barrier_wait(&ready);
  write_all("end\n", 4);
  wipe();
  if (strcmp(arguments[1], "abort") == 0) abort();
  for (;;) pause();
}
