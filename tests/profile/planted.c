// Holds memory for reasons that a profile has to find, each in a function of its own; says so and
// waits until its standard input ends.
//
//   planted [leak] [sparse] [untouched] [cycle] [churn] [cycles] [exit] [abort]
//
// leak: 200,000 blocks of 64 bytes by leak_requests(), beside as many of cache_results() that go.
// sparse: remember_sessions() keeps every 32nd of 1,200,000 blocks of 128 bytes, the others went.
// untouched: reserve_table() has 64 MiB and writes to a quarter of it.
// cycle: parse_message() allocates 200 bytes 2,000,000 times, each freed at once.
// cycles: does that again and again while it waits.
// churn: goes on allocating and freeing while it waits. exit, abort: ends at once.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kLeaked = 200000, kSessions = 1200000, kEvery = 32, kMessages = 2000000 };

#define OWN __attribute__((noinline, noclone))

static void* leaked[kLeaked];
static void* sessions[kSessions];
static char* table;
void* volatile sink;

OWN void* leak_requests(void) {
  char* const block = malloc(64);
  memset(block, 1, 64);
  return block;
}

OWN void* cache_results(void) {
  char* const block = malloc(64);
  block[0] = 1;
  return block;
}

OWN void* remember_sessions(void) {
  char* const block = malloc(128);
  memset(block, 1, 128);
  return block;
}

// What lies between the sessions.
OWN void* parse_requests(void) {
  char* const block = malloc(128);
  memset(block, 1, 128);
  return block;
}

OWN void reserve_table(void) {
  const size_t bytes = (size_t)64 << 20;
  table = malloc(bytes);
  memset(table, 1, bytes / 4);
}

static void leak(void) {
  for (int i = 0; i < kLeaked; ++i) {
    leaked[i] = leak_requests();
    sink = cache_results();
    free(sink);
  }
}

static void sparse(void) {
  for (int i = 0; i < kSessions; ++i) {
    sessions[i] = i % kEvery == 0 ? remember_sessions() : parse_requests();
  }
  for (int i = 0; i < kSessions; ++i) {
    if (i % kEvery != 0) free(sessions[i]);
  }
}

// More than a thread keeps for itself.
OWN void churn(void) {
  static void* held[10000];
  for (unsigned i = 0; i < 10000; ++i) held[i] = malloc(1000);
  for (unsigned i = 0; i < 10000; ++i) free(held[i]);
}

OWN void* parse_message(void) {
  char* const block = malloc(200);
  block[0] = 1;
  return block;
}

static void cycle(void) {
  for (int i = 0; i < kMessages; ++i) {
    sink = parse_message();
    free(sink);
  }
}

int main(int argc, char** argv) {
  int churns = 0, cycles = 0, exits = 0;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "leak") == 0) leak();
    if (strcmp(argv[i], "sparse") == 0) sparse();
    if (strcmp(argv[i], "untouched") == 0) reserve_table();
    if (strcmp(argv[i], "cycle") == 0) cycle();
    if (strcmp(argv[i], "cycles") == 0) cycles = 1;
    if (strcmp(argv[i], "churn") == 0) churns = 1;
    if (strcmp(argv[i], "exit") == 0) exits = 1;
    if (strcmp(argv[i], "abort") == 0) abort();
  }
  if (exits) return 0;
  puts("ready");
  fflush(stdout);
  struct pollfd input = {0, POLLIN, 0};
  while (poll(&input, 1, churns || cycles ? 0 : -1) <= 0) {
    if (churns) churn();
    if (cycles) cycle();
  }
  return 0;
}
