// fork, vfork and posix_spawn out of programs that are busy allocating. A child that hangs is ended
// by its own alarm, so that a deadlock shows as "signal 14".
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/conformance/conformance.h"

enum { kChildSeconds = 60 };
static atomic_bool g_stop;

static void expect_child_ok(pid_t child, int number) {
  CHECK(child > 0, "fork %d failed: %s", number, strerror(errno));
  int status;
  while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR, "waitpid failed");
  CHECK(!WIFSIGNALED(status), "child %d: signal %d%s", number, WTERMSIG(status),
        WTERMSIG(status) == SIGALRM ? ": it hung" : "");
  CHECK(WEXITSTATUS(status) == 0, "child %d: exit status %d", number, WEXITSTATUS(status));
}

// Blocks that one thread allocates and another frees.
enum { kShared = 512 };
static _Atomic(char*) g_shared[kShared];

static void churn(uint32_t* random, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const uint32_t pick = next_random(random);
    const size_t size = pick % 500 == 0  ? pick % 3000000
                        : pick % 20 == 0 ? pick % 60000
                                         : pick % 1200;
    char* p = malloc(size + 1);
    if (p == NULL) FAIL("malloc(%zu) gave NULL", size + 1);
    p[0] = p[size] = (char)pick;
    free(atomic_exchange(&g_shared[pick / 7 % kShared], p));
    if (pick % 64 == 0) {
      char* grown = realloc(malloc(100), 200 + pick % 5000);
      free(grown);
    }
  }
}

static void* churn_thread(void* argument) {
  uint32_t random = 77 + (uint32_t)(uintptr_t)argument * 1000;
  while (!g_stop) churn(&random, 100);
  return NULL;
}

static void start(pthread_t* threads, size_t count, void* (*run)(void*)) {
  for (size_t i = 0; i < count; ++i) {
    CHECK(pthread_create(&threads[i], NULL, run, (void*)i) == 0, "no thread");
  }
}
static void stop(pthread_t* threads, size_t count) {
  g_stop = true;
  for (size_t i = 0; i < count; ++i) pthread_join(threads[i], NULL);
  g_stop = false;
}

static void* child_thread(void* argument) {
  uint32_t random = 5;
  churn(&random, 500);
  return argument;
}

static void work_in_child(int number) {
  alarm(kChildSeconds);
  for (size_t size = 1; size < (8u << 20); size = size * 3 / 2 + 1) {
    char* p = malloc(size);
    if (p == NULL) _exit(2);
    p[0] = p[size - 1] = 1;
    free(p);
  }
  uint32_t random = 1 + (uint32_t)number;
  churn(&random, 200);
  if (number % 20 == 0) {
    pthread_t threads[3];
    start(threads, COUNT_OF(threads), child_thread);
    for (size_t i = 0; i < COUNT_OF(threads); ++i) pthread_join(threads[i], NULL);
  }
}

// How many children, `usual` unless CONFORMANCE_FORKS says otherwise.
static int fork_count(int usual) {
  const char* const text = getenv("CONFORMANCE_FORKS");
  const int count = text != NULL ? atoi(text) : 0;
  return count > 0 ? count : usual;
}

static void fork_children(int count) {
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      work_in_child(i);
      _exit(0);
    }
    expect_child_ok(child, i);
  }
}

static void fork_while_busy(void) {
  pthread_t threads[3];
  start(threads, COUNT_OF(threads), churn_thread);
  fork_children(fork_count(1000));
  stop(threads, COUNT_OF(threads));
}

// The C library's fork waits for the lock of its list of streams; fflush(NULL), fopen and getline
// hold stream locks while they allocate. An allocator whose atfork handler holds its own locks
// meanwhile is in a deadlock.
static const char* g_long_line;  // a file: one line of 300,000 characters, which getline grows into

static void* stdio_thread(void* argument) {
  while (!g_stop) {
    if ((uintptr_t)argument == 0) {
      fflush(NULL);
    } else {
      char* line = NULL;
      size_t room = 0;
      FILE* file = fopen(g_long_line, "r");
      if (file == NULL) FAIL("fopen failed: %s", strerror(errno));
      while (getline(&line, &room, file) > 0) continue;
      fclose(file);
      free(line);
    }
  }
  return NULL;
}

static void fork_with_stdio(void) {
  FILE* file = tmpfile();
  CHECK(file != NULL, "no temporary file: %s", strerror(errno));
  for (int i = 0; i < 300000; ++i) putc('l', file);
  fflush(file);
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(file));
  g_long_line = path;
  pthread_t threads[4];
  start(threads, 3, stdio_thread);
  start(threads + 3, 1, churn_thread);
  for (int i = 0, count = fork_count(1000); i < count; ++i) {
    alarm(3 * kChildSeconds);
    const pid_t child = fork();
    if (child == 0) {
      alarm(kChildSeconds);
      if (i % 10 == 0) work_in_child(i + 1);
      fflush(NULL);
      FILE* null = fopen("/dev/null", "w");
      if (null == NULL) _exit(3);
      fprintf(null, "child %d\n", i);
      fclose(null);
      _exit(0);
    }
    expect_child_ok(child, i);
  }
  stop(threads, COUNT_OF(threads));
  fclose(file);
}

static void* g_prepared;
static atomic_int g_prepare_calls, g_parent_calls;
static void in_prepare(void) {
  g_prepared = malloc(3000);
  memset(g_prepared, 1, 3000);
  free(malloc(200000));
  ++g_prepare_calls;
}
static void in_parent(void) {
  free(g_prepared);
  free(malloc(100));
  ++g_parent_calls;
}
static void in_child(void) {
  alarm(kChildSeconds);
  free(g_prepared);
  for (size_t i = 1; i < 300; ++i) free(malloc(i * 50));
  for (size_t i = 1; i < 30; ++i) free(malloc(i * 70000));
}

// Blocks that no thread keeps a stock of: some lock is held most of the time.
static void* churn_large(void* argument) {
  uint32_t random = 9 + (uint32_t)(uintptr_t)argument;
  while (!g_stop) free(malloc(70000 + next_random(&random) % 900000));
  return NULL;
}

static void atfork_handlers(void) {
  pthread_t threads[3];
  // Before any malloc of this program: an allocator that registers handlers of its own at the first
  // call comes too late to go first in the child.
  pthread_atfork(in_prepare, in_parent, in_child);
  start(threads, 1, churn_thread);
  start(threads + 1, 2, churn_large);
  const int count = fork_count(400);
  fork_children(count);
  stop(threads, COUNT_OF(threads));
  CHECK(g_prepare_calls == count && g_parent_calls == count, "handlers ran %d and %d times",
        g_prepare_calls, g_parent_calls);
}

// So much that what is free wants to go back, and somebody to do it.
static void fill_and_empty(void) {
  enum { kBlocks = 400 };
  char* blocks[kBlocks];
  for (size_t i = 0; i < kBlocks; ++i) {
    blocks[i] = malloc(100000);
    if (blocks[i] == NULL) _exit(3);
    memset(blocks[i], 1, 100000);
  }
  for (size_t i = 0; i < kBlocks; ++i) free(blocks[i]);
}

static int thread_count(void) {
  DIR* const tasks = opendir("/proc/self/task");
  if (tasks == NULL) _exit(4);
  int count = -2;  // without . and ..
  while (readdir(tasks) != NULL) ++count;
  closedir(tasks);
  return count;
}

// Memory is freed before the allocator's own handler has run in the child, and again afterwards:
// whoever gives it back must not be started twice.
static void atfork_handlers_free_much(void) {
  pthread_atfork(NULL, NULL, fill_and_empty);
  free(malloc(100));
  for (int i = 0; i < 10; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(kChildSeconds);
      for (int k = 0; k < 10; ++k) fill_and_empty();
      _exit(thread_count() <= 2 ? 0 : 5);
    }
    expect_child_ok(child, i);
  }
}

static atomic_int g_forks;
static void fork_in_handler(int number) {
  (void)number;
  const int kept = errno;
  const pid_t child = fork();
  if (child == 0) {
    alarm(kChildSeconds);
    _exit(0);
  }
  if (child > 0) {
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (status != 0) FAIL("child %d: status 0x%x", g_forks, status);
    ++g_forks;
  }
  errno = kept;
}

// The handler mostly interrupts malloc or free, whatever they are in the middle of.
static void fork_in_handlers(size_t busy_threads) {
  alarm(120);
  struct sigaction action = {0};
  action.sa_handler = fork_in_handler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, NULL);
  sigset_t block;
  sigemptyset(&block);
  sigaddset(&block, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &block, NULL);
  pthread_t threads[2];
  start(threads, busy_threads, churn_thread);
  // The sender is a process: a thread would have to be waited for in the child as well.
  const pid_t parent = getpid();
  const pid_t sender = fork();
  if (sender == 0) {
    while (getppid() == parent) {
      kill(parent, SIGUSR1);
      usleep(300);
    }
    _exit(0);
  }
  // Not before: a fork that interrupts this one would wait for itself in the C library.
  pthread_sigmask(SIG_UNBLOCK, &block, NULL);
  uint32_t random = 3;
  while (g_forks < 700) churn(&random, 50);
  kill(sender, SIGKILL);
  waitpid(sender, NULL, 0);
  signal(SIGUSR1, SIG_IGN);
  stop(threads, busy_threads);
}

static void fork_in_signal_handler(void) { fork_in_handlers(0); }
static void fork_in_signal_handler_threads(void) { fork_in_handlers(2); }

// The child frees, grows and checks what the parent's threads allocated; new blocks overlap none.
static void* g_inherited[4000];
static atomic_int g_ready;
static void* allocate_inherited(void* argument) {
  for (size_t i = (uintptr_t)argument; i < COUNT_OF(g_inherited); i += 4) {
    const size_t size = 10 + i * 17;
    fill(g_inherited[i] = malloc(size), size, (uint32_t)i);
  }
  ++g_ready;
  while (!g_stop) usleep(1000);
  return NULL;
}

static void inherited_blocks(void) {
  pthread_t threads[4];
  start(threads, COUNT_OF(threads), allocate_inherited);
  while (g_ready < 4) usleep(1000);
  for (int round = 0; round < 5; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(kChildSeconds);
      static void* fresh[20000];
      for (size_t i = 0; i < COUNT_OF(fresh); ++i) memset(fresh[i] = malloc(i * 3), 0xee, i * 3);
      for (size_t i = 0; i < COUNT_OF(g_inherited); ++i) {
        const size_t size = 10 + i * 17;
        if (!is_filled(g_inherited[i], size, (uint32_t)i)) _exit(2);
        if (i % 3 == 0) {
          free(g_inherited[i]);
        } else {
          g_inherited[i] = realloc(g_inherited[i], size * 2);
          if (!is_filled(g_inherited[i], size, (uint32_t)i)) _exit(3);
        }
      }
      for (size_t i = 0; i < COUNT_OF(fresh); ++i) free(fresh[i]);
      const pid_t grandchild = fork();
      if (grandchild == 0) {
        work_in_child(0);
        _exit(0);
      }
      expect_child_ok(grandchild, round);
      _exit(0);
    }
    expect_child_ok(child, round);
  }
  stop(threads, COUNT_OF(threads));
  for (size_t i = 0; i < COUNT_OF(g_inherited); ++i) {
    CHECK(is_filled(g_inherited[i], 10 + i * 17, (uint32_t)i), "the parent's block changed");
    free(g_inherited[i]);
  }
}

static void* fork_in_thread(void* argument) {
  for (int i = 0; i < 60; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      work_in_child(i);
      // This thread is now the only one; it may end as threads do.
      pthread_exit(NULL);
    }
    expect_child_ok(child, i);
  }
  return argument;
}

static void fork_from_thread(void) {
  pthread_t threads[2], busy[2];
  start(busy, COUNT_OF(busy), churn_thread);
  start(threads, COUNT_OF(threads), fork_in_thread);
  for (size_t i = 0; i < COUNT_OF(threads); ++i) pthread_join(threads[i], NULL);
  stop(busy, COUNT_OF(busy));
}

extern char** environ;

static void spawn_and_vfork(void) {
  pthread_t threads[3];
  start(threads, COUNT_OF(threads), churn_thread);
  char* arguments[] = {(char*)"/bin/true", NULL};
  for (int i = 0; i < 60; ++i) {
    pid_t child;
    CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) == 0,
          "posix_spawn failed");
    expect_child_ok(child, i);
    child = vfork();
    if (child == 0) {
      execv("/bin/true", arguments);
      _exit(127);
    }
    expect_child_ok(child, i);
    CHECK(system("exit 0") == 0, "system failed");
    FILE* pipe = popen("echo tide", "r");
    char word[16] = "";
    CHECK(pipe != NULL && fgets(word, sizeof(word), pipe) != NULL, "popen failed");
    CHECK(pclose(pipe) == 0 && strcmp(word, "tide\n") == 0, "popen read %s", word);
  }
  stop(threads, COUNT_OF(threads));
}

static void exit_while_busy(void) {
  for (int i = 0; i < 60; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(kChildSeconds);
      pthread_t threads[4];
      start(threads, COUNT_OF(threads), churn_thread);
      usleep((unsigned)(i * 200));
      exit(0);
    }
    expect_child_ok(child, i);
  }
}

static const struct Case kCases[] = {
    {"fork_while_busy", fork_while_busy},
    {"fork_with_stdio", fork_with_stdio},
    {"atfork_handlers", atfork_handlers},
    {"atfork_handlers_free_much", atfork_handlers_free_much},
    {"fork_in_signal_handler", fork_in_signal_handler},
    {"fork_in_signal_handler_threads", fork_in_signal_handler_threads},
    {"inherited_blocks", inherited_blocks},
    {"fork_from_thread", fork_from_thread},
    {"spawn_and_vfork", spawn_and_vfork},
    {"exit_while_busy", exit_while_busy},
};

int main(int argc, char** argv) { return conformance_main(kCases, COUNT_OF(kCases), argc, argv); }
