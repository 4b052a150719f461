// Misuse that takes another way than a pointer and a call: blocks of other functions, memory that
// the kernel gives out, code that runs at odd times, and calls whose arguments are hostile.
#include "tests/misuse/unusual.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <unistd.h>

#include "tests/misuse/case_table.h"

enum { kPageBytes = 4096 };
// Unknown to the compiler, which warns about them.
static volatile size_t g_all = SIZE_MAX;

static void* mapping(size_t bytes, int flags, int file) {
  void* p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
  if (p == MAP_FAILED) exit(4);
  return p;
}
static void expect(int holds) {
  if (!holds) exit(6);
}

// ---- inside of aligned blocks

static void aligned_middle(void) {
  char* p = aligned_alloc(kPageBytes, 16 * kPageBytes);
  g_call(opaque(p + kPageBytes));
}
static void memalign_middle(void) {
  char* p = memalign(1 << 20, 4 << 20);
  g_call(opaque(p + (1 << 20)));
}
static void posix_memalign_before(void) {
  void* p = NULL;
  expect(posix_memalign(&p, 1 << 16, 100) == 0);
  g_call(opaque((char*)p - 64));
}
static void behind_end(void) {
  char* p = malloc((size_t)1 << 20);
  g_call(opaque(p + malloc_usable_size(p)));
}
static void behind_huge_end(void) {
  char* p = malloc((size_t)64 << 20);
  g_call(opaque(p + malloc_usable_size(p)));
}

// ---- memory that others give out

static void mapped_file(void) {
  FILE* file = fopen("/proc/self/exe", "r");
  char* p = mmap(NULL, kPageBytes, PROT_READ, MAP_PRIVATE, fileno(file), 0);
  g_call(opaque(p + 16));
}
static void mapped_shared(void) {
  const int file = memfd_create("shared", 0);
  expect(ftruncate(file, kPageBytes) == 0);
  char* p = mapping(kPageBytes, MAP_SHARED, file);
  g_call(opaque(p + 64));
}
// Reading it would be SIGBUS.
static void mapped_behind_file(void) {
  const int file = memfd_create("empty", 0);
  char* p = mapping(kPageBytes, MAP_SHARED, file);
  g_call(opaque(p + 64));
}
static void shared_segment(void) {
  const int id = shmget(IPC_PRIVATE, kPageBytes, IPC_CREAT | 0600);
  char* p = id < 0 ? (char*)-1 : shmat(id, NULL, 0);
  if (id >= 0) shmctl(id, IPC_RMID, NULL);
  if (p == (char*)-1) exit(77);
  g_call(opaque(p + 64));
}
static void grows_down(void) {
  char* p = mapping(kPageBytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1);
  g_call(opaque(p + 64));
}
static void vdso(void) { g_call(opaque((void*)getauxval(AT_SYSINFO_EHDR))); }
static void vsyscall(void) { g_call(opaque((void*)0xffffffffff600000)); }
static void environment(void) { g_call(opaque(environ[0])); }
static void random_of_kernel(void) { g_call(opaque((void*)getauxval(AT_RANDOM))); }
static void behind_brk(void) { g_call(opaque((char*)sbrk(0) + (1 << 20))); }
static void standard_output(void) { g_call(opaque(stdout)); }
static void allocator_itself(void) { g_call(opaque((void*)(uintptr_t)&malloc)); }
static void handle_of_program(void) { g_call(opaque(dlopen(NULL, RTLD_NOW))); }

static _Thread_local char t_variable[64] __attribute__((aligned(16)));
static void* say_variable(void* out) {
  *(void**)out = t_variable;
  pause();
  return NULL;
}
static void variable_of_thread(void) {
  static void* volatile p;
  pthread_t thread;
  expect(pthread_create(&thread, NULL, say_variable, (void*)(uintptr_t)&p) == 0);
  while (p == NULL) usleep(1000);
  g_call(opaque(p));
}

// ---- blocks of other functions

static void closed_file(void) {
  FILE* file = opaque(fopen("/dev/null", "r"));
  void* const block = opaque(file);
  fclose(file);
  g_call(opaque(block));
}
static void line_of_getline(void) {
  FILE* file = fopen("/proc/self/maps", "r");
  char* line = NULL;
  size_t bytes = 0;
  expect(getline(&line, &bytes, file) > 0);
  free(opaque(line));
  bytes = 1;  // so that it wants more
  opaque(&line);
  if (getline(&line, &bytes, file) < 0) exit(4);
}
static void middle_of_copy(void) {
  g_call(opaque(strdup("a text of forty letters, or a bit more") + 16));
}
static void stream_of_memory(void) {
  char* text = NULL;
  size_t bytes = 0;
  FILE* file = open_memstream(&text, &bytes);
  fputs("text", file);
  fclose(file);
  free(opaque(text));
  g_call(opaque(text));
}

// ---- at odd times

static void* g_block;
static void call_at_exit(void) { g_call(opaque(g_block)); }
static void at_exit(void) {
  free(g_block = opaque(malloc(64)));
  atexit(call_at_exit);
  exit(3);
}
static void call_by_signal(int number) {
  (void)number;
  g_call(opaque(g_block));
}
static void in_signal_handler(void) {
  static char stack[64 << 10];
  const stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&other, NULL);
  const struct sigaction action = {.sa_handler = call_by_signal, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &action, NULL);
  free(g_block = opaque(malloc(64)));
  raise(SIGUSR1);
}
static void call_by_key(void* p) { g_call(opaque(p)); }
static void* run_key(void* key) {
  pthread_setspecific(*(pthread_key_t*)key, opaque(g_block));
  return NULL;
}
static void in_key_destructor(void) {
  pthread_key_t keys[8];
  for (int i = 0; i < 8; ++i) expect(pthread_key_create(&keys[i], call_by_key) == 0);
  free(g_block = opaque(malloc(64)));
  pthread_t thread;
  expect(pthread_create(&thread, NULL, run_key, &keys[7]) == 0);
  pthread_join(thread, NULL);
}
static void* run_call(void* p) {
  g_call(opaque(p));
  return NULL;
}
static void on_little_stack(void) {
  free(g_block = opaque(malloc(64)));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  expect(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) == 0);
  pthread_t thread;
  expect(pthread_create(&thread, &attributes, run_call, g_block) == 0);
  pthread_join(thread, NULL);
}
static void without_memory(void) {
  free(g_block = opaque(malloc(64)));
  const struct rlimit none = {1 << 20, 1 << 20};
  setrlimit(RLIMIT_AS, &none);
  while (malloc(16) != NULL) {
  }
  g_call(opaque(g_block));
}

// Two threads free one block together; in some round the second of them is noticed.
static pthread_barrier_t g_start;
static void* run_free_together(void* unused) {
  for (;;) {
    pthread_barrier_wait(&g_start);
    free(opaque(g_block));
    pthread_barrier_wait(&g_start);
  }
  return unused;
}
static void by_two_at_once(void) {
  pthread_t thread;
  pthread_barrier_init(&g_start, NULL, 2);
  expect(pthread_create(&thread, NULL, run_free_together, NULL) == 0);
  for (int round = 0; round < 20000; ++round) {
    g_block = opaque(malloc(64));
    pthread_barrier_wait(&g_start);
    free(opaque(g_block));
    pthread_barrier_wait(&g_start);
  }
}

// ---- stale pointers into memory that serves another size by now

enum { kMany = 40000 };
static void after_other_class(void) {
  static char* small[kMany];
  static char* other[kMany / 20];
  for (int i = 0; i < kMany; ++i) small[i] = opaque(malloc(48));
  for (int i = 0; i < kMany; ++i) free(opaque(small[i]));
  malloc_trim(0);
  for (int i = 0; i < kMany / 20; ++i) memset(other[i] = opaque(malloc(1000)), 1, 1000);
  for (int i = 0; i < 100; ++i) {
    int is_live = 0;
    for (int k = 0; k < kMany / 20; ++k) is_live |= other[k] == small[i];
    if (!is_live) g_call(opaque(small[i]));
  }
}
static void stale_with_huge_size(void) {
  void* p = opaque(malloc(64));
  free(p);
  opaque(realloc(opaque(p), g_all));
}
static void stale_array_overflow(void) {
  void* p = opaque(malloc(64));
  free(p);
  opaque(reallocarray(opaque(p), g_all / 2, 3));
}
static void stale_huge_grows(void) {
  void* p = opaque(malloc((size_t)64 << 20));
  free(p);
  opaque(realloc(opaque(p), (size_t)128 << 20));
}

// ---- first-class heaps

struct tide_heap;
static struct tide_heap* (*g_create)(size_t limit);
static void (*g_destroy)(struct tide_heap* heap);
static void* (*g_heap_malloc)(struct tide_heap* heap, size_t bytes);
static struct tide_heap* heap_with_blocks(void) {
  *(void**)&g_create = dlsym(RTLD_DEFAULT, "tide_heap_create");
  *(void**)&g_destroy = dlsym(RTLD_DEFAULT, "tide_heap_destroy");
  *(void**)&g_heap_malloc = dlsym(RTLD_DEFAULT, "tide_heap_malloc");
  if (g_create == NULL || g_destroy == NULL || g_heap_malloc == NULL) exit(77);
  struct tide_heap* heap = g_create(0);
  expect(heap != NULL);
  return heap;
}
static void of_destroyed_heap(void) {
  struct tide_heap* heap = heap_with_blocks();
  void* p = g_heap_malloc(heap, 64);
  g_destroy(heap);
  g_call(opaque(p));
}
static void large_of_destroyed_heap(void) {
  struct tide_heap* heap = heap_with_blocks();
  void* p = g_heap_malloc(heap, 300 << 10);
  g_destroy(heap);
  g_call(opaque(p));
}
static void twice_in_heap(void) {
  struct tide_heap* heap = heap_with_blocks();
  void* p = g_heap_malloc(heap, 64);
  free(opaque(p));
  g_call(opaque(p));
}
static void heap_destroyed_twice(void) {
  struct tide_heap* heap = heap_with_blocks();
  g_destroy(heap);
  g_destroy(opaque(heap));
}
static void malloc_in_destroyed_heap(void) {
  struct tide_heap* heap = heap_with_blocks();
  g_destroy(heap);
  opaque(g_heap_malloc(opaque(heap), 64));
}
static void heap_itself(void) { g_call(opaque(heap_with_blocks())); }

// ---- a size that the block can't have had

static void sized_too_large(void) {
  void (*free_sized_call)(void*, size_t);
  *(void**)&free_sized_call = dlsym(RTLD_DEFAULT, "free_sized");
  if (free_sized_call == NULL) exit(77);
  // None of the three is likely to be guarded, all of them are not.
  for (int i = 0; i < 3; ++i) free_sized_call(opaque(malloc(50)), 700);
}
static void sized_far_too_large(void) {
  void (*free_sized_call)(void*, size_t);
  *(void**)&free_sized_call = dlsym(RTLD_DEFAULT, "free_sized");
  if (free_sized_call == NULL) exit(77);
  for (int i = 0; i < 3; ++i) free_sized_call(opaque(malloc(900)), 1800);
}

// ---- in order: refused, and nothing has changed

static void hostile_alignment(void) {
  static const size_t kBad[] = {0, 1, 3, 4, 7, 24, 4097, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2};
  for (size_t i = 0; i < sizeof kBad / sizeof *kBad; ++i) {
    void* p = &p;
    expect(posix_memalign(&p, kBad[i], 100) == EINVAL && p == &p);
  }
  void* p = &p;
  expect(posix_memalign(&p, (size_t)1 << 63, 100) == ENOMEM && p == &p);
  expect(posix_memalign(&p, 64, SIZE_MAX - 8) == ENOMEM && p == &p);
  expect(aligned_alloc((size_t)1 << 62, 1) == NULL);
  expect(opaque(memalign(g_all, 1)) == NULL);
  expect(opaque(pvalloc(g_all)) == NULL && opaque(valloc(g_all)) == NULL);
  exit(0);
}
static void overflowing_arrays(void) {
  char* p = malloc(100);
  memset(p, 'c', 100);
  for (size_t count = 2; count != 0; count *= 2) {
    errno = 0;
    expect(reallocarray(opaque(p), SIZE_MAX / count + 1, count) == NULL && errno == ENOMEM);
    expect(opaque(calloc(SIZE_MAX / count + 1, count)) == NULL);
  }
  for (int i = 0; i < 100; ++i) expect(p[i] == 'c');
  free(p);
  exit(0);
}

static const struct Case kCases[] = {
    CASE(aligned_middle),
    CASE(memalign_middle),
    CASE(posix_memalign_before),
    CASE(behind_end),
    CASE(behind_huge_end),
    CASE(mapped_file),
    CASE(mapped_shared),
    CASE(mapped_behind_file),
    CASE(shared_segment),
    CASE(grows_down),
    CASE(vdso),
    CASE(vsyscall),
    CASE(environment),
    CASE(random_of_kernel),
    CASE(behind_brk),
    CASE(standard_output),
    CASE(allocator_itself),
    CASE(handle_of_program),
    CASE(variable_of_thread),
    CASE(closed_file),
    CASE(line_of_getline),
    CASE(middle_of_copy),
    CASE(stream_of_memory),
    CASE(at_exit),
    CASE(in_signal_handler),
    CASE(in_key_destructor),
    CASE(on_little_stack),
    CASE(without_memory),
    CASE(by_two_at_once),
    CASE(after_other_class),
    CASE(stale_with_huge_size),
    CASE(stale_array_overflow),
    CASE(stale_huge_grows),
    CASE(of_destroyed_heap),
    CASE(large_of_destroyed_heap),
    CASE(twice_in_heap),
    CASE(heap_destroyed_twice),
    CASE(malloc_in_destroyed_heap),
    CASE(heap_itself),
    CASE(sized_too_large),
    CASE(sized_far_too_large),
    CASE(hostile_alignment),
    CASE(overflowing_arrays),
};

void (*find_unusual_case(const char* name))(void) { return FIND_CASE(kCases, name); }
