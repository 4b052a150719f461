// A program that is recorded while it runs: threads that allocate at random when standard input
// says so, and count what they do. Nothing else of it allocates.
//
//   work N    each thread makes N calls; prints what has been done since the last "count"
//   count     forget what has been done; blocks stay
//   spin      the threads work until "stop"
//   fork N    a child makes N times malloc and free; prints its number
//   leave     the same without an end
//   throw     operator new fails, by an exception
//   exec      begins anew, without an answer
//   quit
//
// A line of JSON answers each.
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

enum Call {
  kMalloc,
  kCalloc,
  kRealloc,
  kFree,
  kAligned,
  kPosix,
  kNew,
  kNewArray,
  kNewForm,
  kDelete,
  kDeleteArray,
  kDeleteForm,
  kCalls
};
const char* const kNames[kCalls] = {"malloc",        "calloc",         "realloc",  "free",
                                    "aligned_alloc", "posix_memalign", "new",      "new[]",
                                    "new (form)",    "delete",         "delete[]", "delete (form)"};
enum Kind : uint8_t { kByMalloc, kByNew, kByNewArray, kByNewForm };

constexpr int kMostThreads = 16;
constexpr size_t kSlots = 512;

struct Slot {
  void* block;
  Kind kind;
};

struct alignas(64) Worker {
  pthread_t thread;
  uint64_t random;
  uint64_t counts[kCalls];
  Slot slots[kSlots];
};

Worker g_workers[kMostThreads];
int g_threads;
pthread_barrier_t g_begin, g_end;
std::atomic<uint64_t> g_wanted;  // calls, or UINT64_MAX: until g_must_stop
std::atomic<bool> g_must_stop;

uint64_t next(Worker& worker) {
  worker.random ^= worker.random << 13;
  worker.random ^= worker.random >> 7;
  return worker.random ^= worker.random << 17;
}

size_t size_for(uint64_t random) {
  if (random % 512 == 0) return 300000 + random % 1000000;
  return random % 16 == 0 ? random % 20000 : random % 600;
}

void give_back(Worker& worker, Slot& slot) {
  switch (slot.kind) {
    case kByMalloc:
      ++worker.counts[kFree];
      free(slot.block);
      break;
    case kByNew:
      ++worker.counts[kDelete];
      ::operator delete(slot.block);
      break;
    case kByNewArray:
      ++worker.counts[kDeleteArray];
      ::operator delete[](slot.block);
      break;
    case kByNewForm:
      ++worker.counts[kDeleteForm];
      ::operator delete (slot.block, std::align_val_t{64});
      break;
  }
  slot.block = nullptr;
}

void take(Worker& worker, Slot& slot, uint64_t random) {
  const size_t bytes = size_for(random >> 20);
  slot.kind = kByMalloc;
  switch ((random >> 12) % 8) {
    case 0:
      ++worker.counts[kCalloc];
      slot.block = calloc(3, bytes / 3 + 1);
      break;
    case 1:
      ++worker.counts[kAligned];
      slot.block = aligned_alloc(64, bytes);
      break;
    case 2:
      ++worker.counts[kPosix];
      if (posix_memalign(&slot.block, 128, bytes) != 0) abort();
      break;
    case 3:
      ++worker.counts[kNew];
      slot.block = ::operator new(bytes);
      slot.kind = kByNew;
      break;
    case 4:
      ++worker.counts[kNewArray];
      slot.block = ::operator new[](bytes);
      slot.kind = kByNewArray;
      break;
    case 5:
      ++worker.counts[kNewForm];
      slot.block = ::operator new (bytes, std::align_val_t{64});
      slot.kind = kByNewForm;
      break;
    default:
      ++worker.counts[kMalloc];
      slot.block = malloc(bytes);
      break;
  }
  if (slot.block == nullptr) abort();
  memset(slot.block, static_cast<int>(random), bytes < 32 ? bytes : 32);
}

// One call.
void step(Worker& worker) {
  const uint64_t random = next(worker);
  Slot& slot = worker.slots[random % kSlots];
  if (slot.block == nullptr) return take(worker, slot, random);
  if (slot.kind == kByMalloc && random / kSlots % 4 == 0) {
    ++worker.counts[kRealloc];
    slot.block = realloc(slot.block, size_for(random >> 16) + 1);
    if (slot.block == nullptr) abort();
    return;
  }
  give_back(worker, slot);
}

void* run(void* argument) {
  Worker& worker = *static_cast<Worker*>(argument);
  for (;;) {
    pthread_barrier_wait(&g_begin);
    const uint64_t wanted = g_wanted.load();
    for (uint64_t i = 0; i < wanted && !g_must_stop.load(std::memory_order_relaxed); ++i) {
      step(worker);
    }
    pthread_barrier_wait(&g_end);
  }
}

void say(const char* text, size_t length) {
  if (write(1, text, length) < 0) _exit(4);
}

void tell() {
  char text[2048];
  int at = snprintf(text, sizeof text, "{\"calls\":{");
  for (int call = 0; call < kCalls; ++call) {
    uint64_t count = 0;
    for (int i = 0; i < g_threads; ++i) count += g_workers[i].counts[call];
    at += snprintf(text + at, sizeof text - at, "%s\"%s\":%llu", call == 0 ? "" : ",", kNames[call],
                   static_cast<unsigned long long>(count));
  }
  unsigned long long blocks = 0, bytes = 0;
  for (int i = 0; i < g_threads; ++i) {
    for (const Slot& slot : g_workers[i].slots) {
      if (slot.block == nullptr) continue;
      ++blocks;
      bytes += malloc_usable_size(slot.block);
    }
  }
  at += snprintf(text + at, sizeof text - at, "},\"blocks\":%llu,\"bytes\":%llu}\n", blocks, bytes);
  say(text, static_cast<size_t>(at));
}

bool read_line(char* line, size_t most) {
  size_t at = 0;
  while (at + 1 < most && read(0, line + at, 1) == 1) {
    if (line[at] == '\n') {
      line[at] = 0;
      return true;
    }
    ++at;
  }
  return false;
}

void fork_child(long count) {
  const pid_t child = fork();
  if (child == 0) {
    for (long i = 0; i < count || count == 0; ++i) {
      void* volatile p = malloc(static_cast<size_t>(i % 900));
      free(p);
    }
    _exit(0);
  }
  int status = 0;
  if (count != 0) waitpid(child, &status, 0);
  char text[64];
  say(text, static_cast<size_t>(snprintf(text, sizeof text, "{\"child\":%d,\"status\":%d}\n",
                                         static_cast<int>(child), status)));
}

void fail_by_exception() {
  bool was_caught = false;
  try {
    void* volatile p = ::operator new (size_t{1} << 60);
    ::operator delete(p);
  } catch (const std::bad_alloc&) {
    was_caught = true;
  }
  say(was_caught ? "{\"caught\":1}\n" : "{\"caught\":0}\n", 13);
}

}  // namespace

int main(int count, char** arguments) {
  g_threads = count > 1 ? atoi(arguments[1]) : 2;
  if (g_threads < 1 || g_threads > kMostThreads) return 2;
  pthread_barrier_init(&g_begin, nullptr, static_cast<unsigned>(g_threads) + 1);
  pthread_barrier_init(&g_end, nullptr, static_cast<unsigned>(g_threads) + 1);
  for (int i = 0; i < g_threads; ++i) {
    g_workers[i].random = 0x9e3779b97f4a7c15u * static_cast<uint64_t>(i + 1);
    pthread_create(&g_workers[i].thread, nullptr, run, &g_workers[i]);
  }
  char line[128];
  while (read_line(line, sizeof line)) {
    if (strncmp(line, "work ", 5) == 0) {
      g_wanted = strtoull(line + 5, nullptr, 10);
      g_must_stop = false;
      pthread_barrier_wait(&g_begin);
      pthread_barrier_wait(&g_end);
      tell();
    } else if (strcmp(line, "count") == 0) {
      for (Worker& worker : g_workers) memset(worker.counts, 0, sizeof worker.counts);
      tell();
    } else if (strcmp(line, "spin") == 0) {
      g_wanted = UINT64_MAX;
      g_must_stop = false;
      pthread_barrier_wait(&g_begin);
      say("{}\n", 3);
    } else if (strcmp(line, "stop") == 0) {
      g_must_stop = true;
      pthread_barrier_wait(&g_end);
      tell();
    } else if (strncmp(line, "fork ", 5) == 0) {
      fork_child(atol(line + 5));
    } else if (strcmp(line, "leave") == 0) {
      fork_child(0);
    } else if (strcmp(line, "throw") == 0) {
      fail_by_exception();
    } else if (strcmp(line, "exec") == 0) {
      execv("/proc/self/exe", arguments);
      return 5;
    } else if (strcmp(line, "quit") == 0) {
      return 0;
    } else {
      return 3;
    }
  }
  return 0;
}
