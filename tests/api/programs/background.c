/* A program that frees much and then rests: its memory must go back although it does nothing, and
   it must not find a thread that it did not make. Runs on the preloaded library.

   usage: background idle|fork|signals|threads|caches|vfork|off

   Ends with 0 when all was well, else says what was not. */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kBlocks = 400000, kBytes = 100 };
static char* blocks[kBlocks];

static void fail(const char* what) {
  fprintf(stderr, "background: %s\n", what);
  exit(1);
}

static long rss_kib(void) {
  long pages = 0, all = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &all, &pages) != 2) fail("no /proc/self/statm");
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int count_threads(void) {
  int count = 0;
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == NULL) fail("no /proc/self/task");
  while (readdir(tasks) != NULL) ++count;
  closedir(tasks);
  /* An emulator has one of its own as soon as the program has had a second one. */
  if (getenv("TIDE_EMULATOR") != NULL && count > 3) --count;
  return count - 2;
}

static void use_much(void) {
  for (int i = 0; i < kBlocks; ++i) {
    blocks[i] = malloc(kBytes);
    if (blocks[i] == NULL) fail("no memory");
    memset(blocks[i], 1, kBytes);
  }
  for (int i = 0; i < kBlocks; ++i) free(blocks[i]);
}

static void start(void* (*run)(void*)) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, NULL) != 0) fail("no thread");
}

static void expect_well(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) fail("the child did not do well");
}

/* Waits for it, at most ten seconds. */
static int comes_true(int (*holds)(void)) {
  for (int i = 0; i < 1000; ++i) {
    if (holds()) return 1;
    usleep(10000);
  }
  return 0;
}

static long low_kib;
static int is_low(void) { return rss_kib() <= low_kib; }
static int is_alone(void) { return count_threads() == 1; }

static void rest_once(void) {
  use_much();
  if (rss_kib() < low_kib + 20000) fail("it did not use much");
  if (!comes_true(is_low)) fail("memory did not go back");
}

static void rest(void) {
  for (int round = 0; round < 3; ++round) {
    rest_once();
    if (!__libc_single_threaded) fail("the C library takes the program for multi-threaded");
    if (!comes_true(is_alone)) fail("the helper does not end");
  }
}

static volatile sig_atomic_t caught_elsewhere;
static volatile sig_atomic_t caught;
static void on_signal(int signal) {
  (void)signal;
  if (syscall(SYS_gettid) != getpid()) caught_elsewhere = 1;
  ++caught;
}

static void take_signals(void) {
  signal(SIGUSR1, on_signal);
  for (int round = 0; round < 20; ++round) {
    use_much();
    kill(getpid(), SIGUSR1);
    usleep(5000);
  }
  if (caught == 0) fail("no signal came");
  if (caught_elsewhere) fail("a signal was delivered to the helper");
}

static void* sleeper(void* unused) {
  (void)unused;
  for (;;) pause();
  return NULL;
}

static atomic_int worker_rests;
static void* worker(void* unused) {
  (void)unused;
  use_much();
  atomic_store(&worker_rests, 1);
  return sleeper(NULL);
}

/* As many threads as have a full share of what caches may hold: no free is a slow one. */
enum { kKeepers = 16, kKept = 8, kKeptBytes = 500 * 1000 };
static atomic_int keepers_rest;
static void* keeper(void* unused) {
  (void)unused;
  void* kept[kKept];
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kKept; ++i) {
      kept[i] = malloc(kKeptBytes);
      if (kept[i] == NULL) fail("no memory");
      memset(kept[i], 1, kKeptBytes);
    }
    for (int i = 0; i < kKept; ++i) free(kept[i]);
  }
  atomic_fetch_add(&keepers_rest, 1);
  return sleeper(NULL);
}

/* The first malloc of the process, maybe, and frees that wake the helper, in a child that only
   borrows the process's memory. */
static void rest_after_vfork(void) {
  const pid_t child = vfork();
  if (child == 0) {
    use_much();
    _exit(0);
  }
  expect_well(child);
  rest();
  /* More than after which caches of vanished threads are looked for. */
  for (int i = 0; i < 40; ++i) start(keeper);
  use_much();
}

int main(int argc, char** argv) {
  const char* const what = argc == 2 ? argv[1] : "";
  low_kib = rss_kib() + 6000;
  if (strcmp(what, "idle") == 0) {
    rest();
  } else if (strcmp(what, "fork") == 0) {
    use_much(); /* the helper is there when the child is made */
    const pid_t child = fork();
    if (child == 0) {
      rest();
      _exit(0);
    }
    expect_well(child);
    rest();
  } else if (strcmp(what, "signals") == 0) {
    take_signals();
  } else if (strcmp(what, "threads") == 0) {
    start(worker);
    while (!atomic_load(&worker_rests)) usleep(100);
    if (!comes_true(is_low)) fail("what a sleeping thread had freed did not go back");
  } else if (strcmp(what, "caches") == 0) {
    for (int i = 0; i < kKeepers; ++i) start(keeper);
    while (atomic_load(&keepers_rest) != kKeepers) usleep(100);
    if (!comes_true(is_low)) fail("what sleeping threads keep did not go back");
  } else if (strcmp(what, "vfork") == 0) {
    rest_after_vfork();
  } else if (strcmp(what, "off") == 0) {
    use_much();
    if (count_threads() != 1) fail("there is a helper although the option is off");
  } else {
    fprintf(stderr, "usage: background idle|fork|signals|threads|caches|vfork|off\n");
    return 2;
  }
  return 0;
}
