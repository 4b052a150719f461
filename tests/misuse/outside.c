// Misuse in which more than the allocator has a part: blocks of the C library's own malloc and what
// looks like them, and where the line goes.
#include "tests/misuse/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/misuse/case_table.h"

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);

// ---- in order: the C library's own malloc

static void expect_kept(char* p, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    if (p[i] != 'c') exit(6);
  }
}
static void libc_block(void) {
  for (size_t bytes = 1; bytes < (4u << 20); bytes = bytes * 3 / 2 + 1) {
    char* p = __libc_malloc(bytes);
    memset(p, 'c', bytes);
    if (malloc_usable_size(p) < bytes) exit(5);
    free(opaque(p));
    p = __libc_malloc(bytes);
    memset(p, 'c', bytes);
    p = realloc(p, bytes * 2 + 10);
    expect_kept(p, bytes);
    free(p);
    p = __libc_malloc(bytes);
    memset(p, 'c', bytes);
    p = realloc(p, bytes / 2 + 1);
    expect_kept(p, bytes / 2 + 1);
    free(p);
    p = __libc_malloc(bytes);
    if (realloc(opaque(p), 0) != NULL) exit(6);
    free(__libc_calloc(3, bytes));
    free(__libc_memalign(256, bytes));
  }
  exit(0);
}
static void* run_libc_block(void* unused) {
  (void)unused;
  for (size_t bytes = 1; bytes < 100000; bytes = bytes * 3 / 2 + 1) free(__libc_malloc(bytes));
  return __libc_malloc(500);  // from an arena of the thread
}
static void libc_block_of_thread(void) {
  pthread_t thread;
  void* p;
  pthread_create(&thread, NULL, run_libc_block, NULL);
  pthread_join(thread, &p);
  char* q = realloc(p, 5000);
  q[4999] = 1;
  free(q);
  exit(0);
}
static void libc_block_without_files(void) {
  pthread_t thread;
  void* of_thread;
  pthread_create(&thread, NULL, run_libc_block, NULL);
  pthread_join(thread, &of_thread);
  void* blocks[] = {__libc_malloc(100), __libc_malloc(8 << 20), __libc_memalign(4096, 1 << 20),
                    __libc_calloc(7, 1000), of_thread};
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_NOFILE, &none);  // nor can the list of mappings be read
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; ++i) {
    if (malloc_usable_size(blocks[i]) < 100) exit(5);
    free(i % 2 == 0 ? opaque(blocks[i]) : realloc(opaque(blocks[i]), 9 << 20));
  }
  exit(0);
}
static void libc_block_split(void) {
  // Advice for a page in the middle makes three mappings of the block.
  for (int i = 0; i < 2; ++i) {
    char* p = __libc_malloc(60000);
    char* page = (char*)(((uintptr_t)p + 2 * 4096 - 1) & ~(uintptr_t)4095);
    if (madvise(page, 4096, MADV_DONTFORK) != 0) exit(4);
    free(i == 0 ? opaque(p) : realloc(opaque(p), 100000));
  }
  exit(0);
}
// The system refuses brk: the main arena lies in mappings, more of them as it grows.
static void refuse_brk(void) {
  struct sock_filter program[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_brk},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOMEM},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  const struct sock_fprog filter = {sizeof program / sizeof *program, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    exit(4);
  }
}
static void libc_block_without_brk(void) {
  refuse_brk();
  static char* blocks[400];
  for (size_t i = 0; i < 400; ++i) {
    blocks[i] = __libc_malloc(i * 60 + 1);
    memset(blocks[i], 'c', i * 60 + 1);
  }
  for (size_t i = 0; i < 400; i += 7) free(opaque(blocks[i]));
  for (size_t i = 0; i < 400; ++i) {
    if (i % 7 == 0) continue;
    if (malloc_usable_size(blocks[i]) < i * 60 + 1) exit(5);
    blocks[i] = realloc(opaque(blocks[i]), 40000);
    expect_kept(blocks[i], i * 60 + 1);
    free(opaque(blocks[i]));
  }
  libc_block();
}
// The kernel makes one mapping of the arena and of what lies right before it.
static void libc_block_beside_mapping(void) {
  refuse_brk();
  const size_t bytes = 1 << 20;  // the least that the arena takes
  char* next = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(next, bytes);
  char* page = mmap(next - 4096, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (page != next - 4096) { /* where addresses grow upwards */
    if (page != MAP_FAILED) munmap(page, 4096);
    page = mmap(next, 4096, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page != next) exit(77);
    next += 4096;
  }
  memset(page, 0xff, 4096);
  char* blocks[] = {__libc_malloc(100), __libc_malloc(5000)};
  /* The kernel may have put it elsewhere. */
  if (blocks[0] < next || blocks[0] > next + 4096) exit(77);
  free(opaque(blocks[0]));
  free(realloc(opaque(blocks[1]), 100000));
  exit(0);
}
static void libc_inside_without_brk(void) {
  refuse_brk();
  char* p = __libc_calloc(1, 3000);
  free(__libc_malloc(3000));
  g_call(opaque(p + 64));
}
static void libc_double_free(void) {
  void* p = __libc_malloc(64);
  free(p);
  g_call(opaque(p));
}

static void libc_inside(void) {
  char* p = __libc_calloc(1, 200);
  g_call(opaque(p + 64));
}

// What looks like a chunk of another arena is not one of its heap.
static void fake_chunk(void) {
  size_t* words = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  words[1] = 0x40 | 5;
  words[9] = 0x40 | 5;
  g_call(opaque(words + 2));
}
static void fake_chunk_static(void) {
  static size_t words[1 << 16] __attribute__((aligned(4096)));
  words[513] = 0x40 | 5;
  words[521] = 0x40 | 5;
  g_call(opaque(words + 514));
}

// ---- where the line goes

// Ends as the misuse in the child should: 0 if that died of SIGABRT.
static void expect_abort(pid_t child) {
  int status;
  waitpid(child, &status, 0);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) exit(7);
}
static void line_to_broken_pipe(void) {
  const pid_t child = fork();
  if (child == 0) {
    int ends[2];
    if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0) _exit(4);
    close(ends[0]);
    close(ends[1]);
    at_once();
    _exit(3);
  }
  expect_abort(child);
  exit(0);
}
// The descriptor of a program that began without stderr belongs to a file of data.
static const char kDataFile[] = "/proc/self/fd/9";
static void with_data_file(void) {
  free(opaque(malloc(1)));  // the allocator looks at the descriptor when it starts
  if (open(kDataFile, O_RDWR) != STDERR_FILENO) _exit(4);
  at_once();
}
static void line_not_into_data(void) {
  const int file = memfd_create("data", 0);
  if (file < 0 || dup2(file, 9) != 9) exit(4);
  const pid_t child = fork();
  if (child == 0) {
    close(STDERR_FILENO);
    execl("/proc/self/exe", "misuse", "with_data_file", "free", "small", NULL);
    _exit(4);
  }
  expect_abort(child);
  struct stat data;
  exit(fstat(file, &data) == 0 && data.st_size == 0 ? 0 : 8);
}

static const struct Case kCases[] = {
    CASE(libc_block),
    CASE(libc_block_of_thread),
    CASE(libc_block_without_files),
    CASE(libc_block_without_brk),
    CASE(libc_block_beside_mapping),
    CASE(libc_inside_without_brk),
    CASE(libc_block_split),
    CASE(libc_double_free),
    CASE(libc_inside),
    CASE(fake_chunk),
    CASE(fake_chunk_static),
    CASE(line_to_broken_pipe),
    CASE(with_data_file),
    CASE(line_not_into_data),
};

void (*find_outside_case(const char* name))(void) { return FIND_CASE(kCases, name); }
