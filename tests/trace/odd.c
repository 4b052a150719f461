/* Programs that end, begin and go on in unusual ways: odd CASE [ARGUMENT]. Between the markers
   "begin" and "end" each allocates as often as tests/trace/run.py says. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

int tide_trace_marker(const char* name) __attribute__((weak));
int tide_trace_pause(void) __attribute__((weak));
int tide_trace_resume(void) __attribute__((weak));
int tide_trace_sync(void) __attribute__((weak));
int tide_trace_active(void) __attribute__((weak));
static void marker(const char* name) {
  if (tide_trace_marker != NULL) tide_trace_marker(name);
}

static char* g_own_path;

static void blocks(int count) {
  for (int i = 0; i < count; ++i) {
    void* const p = malloc(10 + (size_t)i % 100);
    if (p == NULL) abort();
    if (i % 2 == 0) free(p);
  }
}

static void fork_loop(void) {
  for (int i = 0; i < 50; ++i) {
    blocks(10);
    const pid_t child = fork();
    if (child == 0) {
      blocks(20);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
}

static void* thread(void* argument) {
  blocks(100);
  return argument;
}

static void* thread_that_exits(void* argument) {
  blocks(100);
  pthread_exit(argument);
}

static void* thread_that_waits(void* argument) {
  blocks(100);
  for (;;) pause();
  return argument;
}

static void threads_end(void) {
  for (int i = 0; i < 300; ++i) {
    pthread_t handle;
    if (pthread_create(&handle, NULL, i % 2 ? thread : thread_that_exits, NULL) != 0) abort();
    pthread_join(handle, NULL);
  }
  for (int i = 0; i < 10; ++i) {
    pthread_t handle;
    if (pthread_create(&handle, NULL, thread_that_waits, NULL) != 0) abort();
    pthread_cancel(handle);
    pthread_join(handle, NULL);
  }
}

static pthread_key_t g_key;
static void destroy(void* p) { free(p); }
static void* thread_with_value(void* argument) {
  pthread_setspecific(g_key, malloc(77));
  return argument;
}

/* Destructors run after the recorder has been told that the thread ends. */
static void thread_values(void) {
  pthread_key_create(&g_key, destroy);
  for (int i = 0; i < 100; ++i) {
    pthread_t handle;
    if (pthread_create(&handle, NULL, thread_with_value, NULL) != 0) abort();
    pthread_join(handle, NULL);
  }
}

static void* small_thread(void* argument) {
  blocks(10);
  return argument;
}

static void small_stacks(void) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 16384);
  for (int i = 0; i < 20; ++i) {
    pthread_t handle;
    if (pthread_create(&handle, &attributes, small_thread, NULL) != 0) abort();
    pthread_join(handle, NULL);
  }
}

static volatile int g_signals;
static void* volatile g_kept[4096];
static void allocate_in_handler(int number) {
  (void)number;
  g_kept[g_signals & 4095] = malloc(24);
  ++g_signals;
}

/* Interrupts busy loops of our own and not malloc itself, which must not be entered twice. */
static void signals(void) {
  signal(SIGUSR1, allocate_in_handler);
  for (int i = 0; i < 1000; ++i) {
    free(malloc(33));
    raise(SIGUSR1);
  }
}

static void timer_tick(int number) {
  (void)number;
  ++g_signals;
}

/* Interrupts calls, waits and records anywhere. */
static void timers(void) {
  struct sigaction action = {.sa_handler = timer_tick};
  sigaction(SIGALRM, &action, NULL);
  const struct itimerval interval = {{0, 200}, {0, 200}};
  setitimer(ITIMER_REAL, &interval, NULL);
  blocks(200000);
  const struct itimerval none = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &none, NULL);
}

static ucontext_t g_main, g_other;
static void on_other_stack(void) {
  for (int i = 0; i < 100; ++i) {
    blocks(1);
    swapcontext(&g_other, &g_main);
  }
}

static void coroutines(void) {
  char* const stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  getcontext(&g_other);
  g_other.uc_stack.ss_sp = stack;
  g_other.uc_stack.ss_size = 65536;
  g_other.uc_link = &g_main;
  makecontext(&g_other, on_other_stack, 0);
  for (int i = 0; i < 100; ++i) swapcontext(&g_main, &g_other);
}

static char kOnlyBlocks[] = "blocks";

static void exec_self(void) {
  char* const arguments[] = {g_own_path, kOnlyBlocks, NULL};
  execv(g_own_path, arguments);
  abort();
}

static void close_all_and_exec(void) {
  for (int i = 3; i < 1024; ++i) close(i);
  /* Numbers that a trace might use mean something else now. */
  for (int i = 0; i < 300; ++i) {
    if (open("/dev/null", O_RDWR) < 0) abort();
  }
  exec_self();
}

static void vfork_and_exec(void) {
  blocks(10);
  static volatile int i;
  for (i = 0; i < 10; ++i) {
    const pid_t child = vfork();
    if (child == 0) {
      char* const arguments[] = {g_own_path, kOnlyBlocks, NULL};
      if (i % 2 == 0) execv(g_own_path, arguments);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
  blocks(10);
}

/* What an allocator serves from near and from far. Nothing is freed, so that nothing is used again.
 */
static void paths(void) {
  free(malloc(64));
  for (int i = 0; i < 99; ++i) free(malloc(64));
  for (int i = 0; i < 5000; ++i) {
    if (malloc(200) == NULL) abort();
  }
  for (int i = 0; i < 3; ++i) {
    if (malloc(200000) == NULL) abort();
  }
  for (int i = 0; i < 2; ++i) {
    if (malloc((size_t)200 << 20) == NULL) abort();
  }
}

static void exec_by(int form) {
  extern char** environ;
  char* const arguments[] = {g_own_path, kOnlyBlocks, NULL};
  switch (form) {
    case 0:
      execl(g_own_path, g_own_path, kOnlyBlocks, (char*)NULL);
      break;
    case 1:
      execlp(g_own_path, g_own_path, kOnlyBlocks, (char*)NULL);
      break;
    case 2:
      execle(g_own_path, g_own_path, kOnlyBlocks, (char*)NULL, environ);
      break;
    case 3:
      execv(g_own_path, arguments);
      break;
    case 4:
      execvp(g_own_path, arguments);
      break;
    case 5:
      execve(g_own_path, arguments, environ);
      break;
    default:
      execvpe(g_own_path, arguments, environ);
  }
  _exit(1);
}

/* Each form in a forked child, which runs the program again. */
static void all_execs(void) {
  for (int form = 0; form < 7; ++form) {
    const pid_t child = fork();
    if (child == 0) {
      blocks(20);
      exec_by(form);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) abort();
  }
  blocks(10);
}

static void spawns(void) {
  extern char** environ;
  char* const arguments[] = {g_own_path, kOnlyBlocks, NULL};
  for (int i = 0; i < 4; ++i) {
    pid_t child = 0;
    const int error = i % 2 == 0 ? posix_spawn(&child, g_own_path, NULL, NULL, arguments, environ)
                                 : posix_spawnp(&child, g_own_path, NULL, NULL, arguments, environ);
    int status = 0;
    if (error != 0 || waitpid(child, &status, 0) != child || status != 0) abort();
  }
  blocks(10);
}

/* As a script does that puts an allocator in front of what it starts. */
static void replaced_preloads(void) {
  if (setenv("LD_PRELOAD", "libm.so.6", 1) != 0) abort();
  all_execs();
  spawns();
}

static void shells(void) {
  if (WEXITSTATUS(system("exit 3")) != 3) abort();
  FILE* const shell = popen("exit 4", "r");
  if (shell == NULL || WEXITSTATUS(pclose(shell)) != 4) abort();
  /* Whether there is a shell the C library learns by starting one. */
  if (system(NULL) == 0) abort();
  if (popen("exit 5", "neither") != NULL) abort();
  blocks(10);
}

static void mappings(void) {
  const size_t page = 4096;
  for (int i = 0; i < 100; ++i) {
    char* p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(p, page, MADV_DONTNEED);
    madvise(p + 1, page, MADV_DONTNEED); /* fails */
    p = mremap(p, 4 * page, 8 * page, MREMAP_MAYMOVE);
    munmap(p, 8 * page);
    munmap(p + 1, page); /* fails */
    if (mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) abort();
    sbrk(16);
  }
}

static void controls(void) {
  if (tide_trace_active == NULL || !tide_trace_active()) abort();
  blocks(10);
  tide_trace_pause();
  if (tide_trace_active()) abort();
  blocks(1000);
  tide_trace_resume();
  blocks(10);
  if (tide_trace_sync() != 0) abort();
  blocks(10);
}

static void exit_in_the_middle(void) {
  blocks(100);
  _exit(3);
}
static void abort_in_the_middle(void) {
  blocks(100);
  abort();
}
static void kill_in_the_middle(void) {
  blocks(100);
  kill(getpid(), SIGKILL);
}
static void only_blocks(void) { blocks(100); }
static void exec_in_the_middle(void) {
  blocks(100);
  exec_self();
}
static void clear_environment(void) {
  char* const arguments[] = {g_own_path, kOnlyBlocks, NULL};
  char* const environment[] = {NULL};
  blocks(100);
  execve(g_own_path, arguments, environment);
  abort();
}
static void realloc_to_nothing(void) {
  for (int i = 0; i < 10; ++i) {
    void* const p = realloc(malloc(100), 0);
    free(p);
  }
}

static const struct {
  const char* name;
  void (*run)(void);
} kCases[] = {{"fork_loop", fork_loop},
              {"threads_end", threads_end},
              {"thread_values", thread_values},
              {"small_stacks", small_stacks},
              {"signals", signals},
              {"timers", timers},
              {"coroutines", coroutines},
              {"close_all_and_exec", close_all_and_exec},
              {"vfork_and_exec", vfork_and_exec},
              {"all_execs", all_execs},
              {"spawns", spawns},
              {"replaced_preloads", replaced_preloads},
              {"shells", shells},
              {"paths", paths},
              {"mappings", mappings},
              {"controls", controls},
              {"exit_in_the_middle", exit_in_the_middle},
              {"abort_in_the_middle", abort_in_the_middle},
              {"kill_in_the_middle", kill_in_the_middle},
              {"blocks", only_blocks},
              {"exec_in_the_middle", exec_in_the_middle},
              {"clear_environment", clear_environment},
              {"realloc_to_nothing", realloc_to_nothing}};

int main(int count, char** arguments) {
  static char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (count < 2 || length < 0) return 2;
  path[length] = '\0';
  g_own_path = path;
  for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
    if (strcmp(kCases[i].name, arguments[1]) != 0) continue;
    marker("begin");
    kCases[i].run();
    marker("end");
    return 0;
  }
  return 2;
}
