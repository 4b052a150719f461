// One function per way to misuse malloc; `misuse CASE` runs it, and is expected to die of SIGABRT
// with one line of the allocator. A case that survives exits with 3. Cases whose pointer is in
// order after all, whatever it looks like, exit with 0. run.py has the table of what each must
// print.
//
// What is done here is undefined by every standard; pointers pass through opaque() so that the
// compiler neither warns nor takes advantage of it.
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/misuse/case_table.h"
#include "tests/misuse/outside.h"
#include "tests/misuse/unusual.h"

// The sizes of the cases: 64 bytes, a page, above the size classes, and a mapping of its own.
enum { kSmall = 64, kPage = 4096, kLarge = 100 << 10, kHuge = 64 << 20 };
static size_t g_size = kSmall;
// What a case allocates before it gives up.
static const size_t kMostBytes = (size_t)256 << 20;

static void* block(void) {
  char* p = malloc(g_size);
  if (p == NULL) exit(4);
  p[0] = p[g_size - 1] = 1;
  return opaque(p);
}

// ---- the call that is wrong, chosen by the case's name: free, realloc or malloc_usable_size

void (*g_call)(void*) = free;
static void call_realloc(void* p) { opaque(realloc(p, g_size * 2 + 1000)); }
static void call_realloc_zero(void* p) { opaque(realloc(p, 0)); }
static void call_usable_size(void* p) {
  if (malloc_usable_size(p) == 12345678) exit(5);
}

// ---- freed before

void at_once(void) {
  void* p = block();
  free(p);
  g_call(opaque(p));
}

static void after_other_frees(void) {
  void* others[200];
  const size_t count = g_size > (1 << 20) ? 3 : 200;
  for (size_t i = 0; i < count; ++i) others[i] = block();
  void* p = block();
  free(p);
  for (size_t i = 0; i < count; ++i) free(others[i]);
  g_call(opaque(p));
}

static void after_other_allocations(void) {
  // Of other sizes, so that the block is not handed out again.
  void* p = block();
  free(p);
  for (size_t i = 0; i < 500; ++i) free(malloc(g_size / 3 + 1));
  for (size_t i = 0; i < 20; ++i) opaque(malloc(g_size / 4 + i));
  g_call(opaque(p));
}

static void* run_free(void* p) {
  free(p);
  return NULL;
}
static void in_thread(void* (*run)(void*), void* argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, argument) != 0) exit(4);
  pthread_join(thread, NULL);
}

static void freed_by_another(void) {
  void* p = block();
  in_thread(run_free, p);
  g_call(opaque(p));
}

static void* run_call(void* p) {
  g_call(opaque(p));
  return NULL;
}
static void again_by_another(void) {
  void* p = block();
  free(p);
  in_thread(run_call, p);
}

static void* run_block(void* out) {
  *(void**)out = block();
  return NULL;
}
static void of_dead_thread(void) {
  void* p = NULL;
  in_thread(run_block, &p);
  free(p);
  g_call(opaque(p));
}

static void* run_block_and_free(void* out) {
  *(void**)out = block();
  free(*(void**)out);
  return NULL;
}
static void freed_by_dead_thread(void) {
  void* p = NULL;
  in_thread(run_block_and_free, &p);
  g_call(opaque(p));
}

// Another thread has been given the block. The second free takes it from under that thread, which
// no allocator can know; the owner's own free is then the one too many.
static void* run_reuse(void* stale) {
  void* mine = NULL;
  for (size_t sum = 0; sum < kMostBytes && mine != stale; sum += g_size) mine = block();
  if (mine != stale) exit(77);
  free(stale);
  g_call(opaque(mine));
  return NULL;
}
static void reused_by_another(void) {
  void* p = NULL;
  in_thread(run_block_and_free, &p);
  in_thread(run_reuse, p);
}

static void after_trim(void) {
  void* p = block();
  free(p);
  malloc_trim(0);
  g_call(opaque(p));
}

static void moved_by_realloc(void) {
  void* p = block();
  opaque(malloc(g_size));
  void* moved = realloc(opaque(p), g_size * 20);
  if (opaque(moved) == opaque(p)) exit(77);
  g_call(opaque(p));
}

static void freed_by_realloc(void) {
  void* p = block();
  opaque(realloc(p, 0));
  g_call(opaque(p));
}

static void calloc_at_once(void) {
  void* p = opaque(calloc(1, g_size));
  free(p);
  g_call(opaque(p));
}
static void aligned_at_once(void) {
  void* p = opaque(aligned_alloc(256, g_size));
  free(p);
  g_call(opaque(p));
}
// A realloc that fails leaves the block live; one free is in order, the next is not.
static void after_failed_realloc(void) {
  void* p = block();
  if (realloc(opaque(p), PTRDIFF_MAX) != NULL) exit(6);
  free(opaque(p));
  g_call(opaque(p));
}
static void again_in_child(void) {
  void* p = block();
  free(p);
  const pid_t child = fork();
  if (child == 0) {
    g_call(opaque(p));
    _exit(3);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) exit(4);
  if (!WIFSIGNALED(status)) exit(3);
  raise(WTERMSIG(status));
}

// Every size from 1 to 80 KiB, in steps of a sixteenth, then some that have pages or a mapping of
// their own. Each ends in a child with one line.
static void expect_noticed(void) {
  int ends[2];
  if (pipe(ends) != 0) exit(4);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    at_once();
    _exit(3);
  }
  close(ends[1]);
  char line[300] = "";
  if (read(ends[0], line, sizeof line - 1) < 0) exit(4);
  close(ends[0]);
  int status = 0;
  if (waitpid(child, &status, 0) != child) exit(4);
  const char* const end = strchr(line, '\n');
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strncmp(line, "tide: ", 6) == 0 &&
      end != NULL && end[1] == 0) {
    return;
  }
  fprintf(stderr, "%zu bytes: status %#x: %s\n", g_size, (unsigned)status, line);
  exit(6);
}
static void of_every_size(void) {
  for (g_size = 1; g_size < (80 << 10); g_size += g_size / 16 + 1) expect_noticed();
  for (g_size = 100 << 10; g_size < (100 << 20); g_size *= 3) expect_noticed();
  exit(0);
}

// ---- inside a block

static void inside(size_t offset) { g_call(opaque((char*)block() + offset)); }
static void inside_by_1(void) { inside(1); }
static void inside_by_8(void) { inside(8); }
static void inside_by_16(void) { inside(16); }
static void inside_by_half(void) { inside(g_size / 2); }
static void inside_by_page(void) { inside(4096); }
static void inside_at_last(void) { inside(g_size - 1); }
static void inside_aligned(void) {
  char* p = aligned_alloc(1024, g_size + 2048);
  g_call(opaque(p + 1024));
}
static void inside_free_block(void) {
  char* p = block();
  free(p);
  g_call(opaque(p + g_size / 2));
}
static void before_block(void) { g_call(opaque((char*)block() - 16)); }

// ---- never allocated

static int g_global = 1;
static const int kConstant = 2;

static void stack(void) {
  char here[64] __attribute__((aligned(16))) = {0};
  g_call(opaque(here));
}
static void stack_of_thread(void) { in_thread(run_call, opaque(&(char[64]){0})); }
static void global(void) { g_call(opaque(&g_global)); }
static void constant(void) { g_call(opaque((void*)(uintptr_t)&kConstant)); }
static void code(void) { g_call(opaque((void*)(uintptr_t)&global)); }
static void library_code(void) { g_call(opaque((void*)(uintptr_t)&pthread_create)); }
static void thread_local_variable(void) {
  static _Thread_local char here[64];
  g_call(opaque(here));
}
static void mapped(void) {
  char* p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_call(opaque(p));
}
static void mapped_inside(void) {
  char* p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(p, 0xff, 1 << 20);
  g_call(opaque(p + 4096 + 16));
}
static void mapped_without_access(void) {
  g_call(opaque(mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
}
static void unmapped(void) {
  char* p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(p, 1 << 20);
  g_call(opaque(p));
}
static void low_mapped(void) {
  void* const low = (void*)(1ul << 30);
  char* p = mmap(low, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_call(opaque(p + 64));
}
static void brk_memory(void) {
  char* p = sbrk(1 << 16);
  g_call(opaque(p + 4096));
}
static void low_1(void) { g_call(opaque((void*)1)); }
static void low_16(void) { g_call(opaque((void*)16)); }
static void low_4096(void) { g_call(opaque((void*)4096)); }
static void non_canonical(void) { g_call(opaque((void*)0x8000000000000010)); }
static void non_canonical_ascii(void) { g_call(opaque((void*)0x4141414141414140)); }
static void kernel_half(void) { g_call(opaque((void*)0xffff888000000010)); }
static void minus_1(void) { g_call(opaque((void*)-1)); }
static void minus_16(void) { g_call(opaque((void*)-16)); }
static void tagged(void) { g_call(opaque((void*)((uintptr_t)block() | (uintptr_t)0x5a << 56))); }
static void far_from_any(void) { g_call(opaque((char*)block() + ((size_t)8 << 30))); }
static void never_handed_out(void) {
  // Far into the same slab: its blocks of this size were never allocated.
  char* p = block();
  g_call(opaque((char*)((uintptr_t)p + g_size * 300)));
}
static void free_before_any_malloc(void) {
  char here[64] __attribute__((aligned(16))) = {0};
  g_call(opaque(here + 16));
}

static const struct Case kCases[] = {
    CASE(at_once),
    CASE(after_other_frees),
    CASE(after_other_allocations),
    CASE(freed_by_another),
    CASE(again_by_another),
    CASE(of_dead_thread),
    CASE(freed_by_dead_thread),
    CASE(reused_by_another),
    CASE(after_trim),
    CASE(moved_by_realloc),
    CASE(freed_by_realloc),
    CASE(calloc_at_once),
    CASE(aligned_at_once),
    CASE(after_failed_realloc),
    CASE(again_in_child),
    CASE(of_every_size),
    CASE(inside_by_1),
    CASE(inside_by_8),
    CASE(inside_by_16),
    CASE(inside_by_half),
    CASE(inside_by_page),
    CASE(inside_at_last),
    CASE(inside_aligned),
    CASE(inside_free_block),
    CASE(before_block),
    CASE(stack),
    CASE(stack_of_thread),
    CASE(global),
    CASE(constant),
    CASE(code),
    CASE(library_code),
    CASE(thread_local_variable),
    CASE(mapped),
    CASE(mapped_inside),
    CASE(mapped_without_access),
    CASE(unmapped),
    CASE(low_mapped),
    CASE(brk_memory),
    CASE(low_1),
    CASE(low_16),
    CASE(low_4096),
    CASE(non_canonical),
    CASE(non_canonical_ascii),
    CASE(kernel_half),
    CASE(minus_1),
    CASE(minus_16),
    CASE(tagged),
    CASE(far_from_any),
    CASE(never_handed_out),
    CASE(free_before_any_malloc),
};

static const struct {
  const char* name;
  void (*call)(void*);
} kCalls[] = {{"free", free},
              {"realloc", call_realloc},
              {"realloc_zero", call_realloc_zero},
              {"usable_size", call_usable_size}};
static const struct {
  const char* name;
  size_t bytes;
} kBlockSizes[] = {{"small", kSmall}, {"page", kPage}, {"large", kLarge}, {"huge", kHuge}};

// misuse CASE CALL SIZE
int main(int argc, char** argv) {
  void (*run)(void) = argc == 4 ? FIND_CASE(kCases, argv[1]) : NULL;
  if (run == NULL && argc == 4) run = find_outside_case(argv[1]);
  if (run == NULL && argc == 4) run = find_unusual_case(argv[1]);
  if (run == NULL) {
    fprintf(stderr, "usage: misuse CASE CALL SIZE; run.py knows them\n");
    return 2;
  }
  for (size_t i = 0; i < sizeof(kCalls) / sizeof(kCalls[0]); ++i) {
    if (strcmp(kCalls[i].name, argv[2]) == 0) g_call = kCalls[i].call;
  }
  for (size_t i = 0; i < sizeof(kBlockSizes) / sizeof(kBlockSizes[0]); ++i) {
    if (strcmp(kBlockSizes[i].name, argv[3]) == 0) g_size = kBlockSizes[i].bytes;
  }
  run();
  return 3;
}
