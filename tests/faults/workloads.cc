#include "tests/faults/workloads.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <iterator>

#include "tests/faults/blocks.h"
#include "tests/stress/calls.h"

namespace tide::faults {

namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;

void take_many(size_t count, size_t bytes) {
  for (size_t i = 0; i < count; ++i) take(bytes);
}

// Up to 1 KiB: several slabs of several classes, holes in them, and again.
void small() {
  for (const size_t bytes : {16u, 40u, 64u, 200u, 512u, 1000u}) take_many(500, bytes);
  drop_every(3);
  take_many(300, 100);
  stress::purge();
  take_many(300, 64);
}

// More small ones than two huge pages hold.
void wide() {
  take_many(5000, 1000);
  drop_every(2);
  stress::purge();
  take_many(2000, 900);
}

// 1 to 64 KiB.
void mid() {
  for (const size_t bytes : {1500u, 4000u, 9000u, 20'000u, 40'000u, 65'000u}) take_many(60, bytes);
  drop_every(2);
  stress::purge();
  for (const size_t bytes : {3000u, 30'000u, 60'000u}) take_many(30, bytes);
}

// Spans: 64 KiB to 32 MiB.
void large() {
  for (int round = 0; round < 2; ++round) {
    for (size_t bytes = 70 * kKiB; bytes < 5 * kMiB; bytes = bytes * 7 / 4) {
      take(bytes);
      take(bytes / 2 + 64 * kKiB);
    }
    drop_every(2);
    stress::purge();
  }
}

// Mappings of their own, kept, reused and given back. More than are kept.
void huge() {
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < 8; ++i) take(33 * kMiB + i * 3 * kMiB);
    drop_every(2);
    take(40 * kMiB);
    stress::purge();
  }
  for (int i = 0; i < 50; ++i) take(33 * kMiB);  // the table of them grows, too
  drop_all();
  stress::purge();
}

// From small to huge and back, in place, by copy, and by moving pages.
void growth() {
  for (size_t bytes = 24; bytes < 80 * kMiB; bytes = bytes * 5 / 3) {
    resize_newest(bytes);
    if (bytes > kMiB && bytes < 3 * kMiB) take(70 * kKiB);  // in the way
  }
  for (size_t bytes = 70 * kMiB; bytes > 1000; bytes /= 3) resize_newest(bytes);
  take(2 * kMiB);
  take(2 * kMiB);
  drop_every(2);
  for (size_t i = 1; i < 12; ++i) resize_newest(i * 4 * kMiB);
}

void aligned() {
  for (size_t alignment = 16; alignment <= 64 * kMiB; alignment *= 4) {
    take_aligned(alignment, 100);
    take_aligned(alignment, 5000);
    take_aligned(alignment, 200 * kKiB);
  }
  take_aligned(8 * kKiB, 40 * kMiB);
  take_aligned(4 * kMiB, 40 * kMiB);
  drop_every(2);
  stress::purge();
  take_aligned(64 * kMiB, 1000);
}

// Memory that was written to before.
void zeroed() {
  for (int round = 0; round < 3; ++round) {
    for (const size_t bytes : {30u, 700u, 3000u, 30'000u}) {
      for (int i = 0; i < 20; ++i) take_zeroed(bytes);
    }
    for (const size_t bytes : {80 * kKiB, 300 * kKiB, 3 * kMiB, 35 * kMiB}) take_zeroed(bytes);
    drop_every(round == 1 ? 2 : 1);
    if (round == 1) stress::purge();
  }
}

// All blocks are of another size than before, and more each time: pages change zones.
void drift() {
  take_many(130, 60'000);
  drop_all();
  take_many(80, 200'000);
  drop_all();
  take_many(400, 60'000);
}

// First-class heaps: everything in them goes at once.
void heaps() {
  for (int round = 0; round < 4; ++round) {
    stress::Heap* const heap = stress::heap_create();
    if (heap == nullptr) continue;
    for (const size_t bytes : {20u, 300u, 5000u, 50'000u, 90'000u, 2'000'000u, 34'000'000u}) {
      for (int i = 0; i < (bytes < 10'000 ? 40 : 2); ++i) {
        auto* const p = static_cast<unsigned char*>(stress::heap_allocate(heap, bytes));
        if (p == nullptr) continue;
        for (size_t at = 0; at < bytes; at += 1 + bytes / 20) p[at] = 1;
        p[bytes - 1] = 2;
        if (i % 3 == 0) stress::release(p);
      }
    }
    if (round == 2) stress::purge();
    stress::heap_destroy(heap);
  }
}

void* live_in_thread(void*) {
  for (const size_t bytes : {24u, 300u, 900u, 6000u, 60'000u, 400'000u}) take_many(12, bytes);
  for (int i = 0; i < 30; ++i) drop_newest();
  return nullptr;
}

// Threads start, leave blocks behind for others to free, and end.
void threads() {
  for (int round = 0; round < 2; ++round) {
    pthread_t ids[6];
    bool started[6];
    for (size_t i = 0; i < 6; ++i) {
      started[i] = pthread_create(&ids[i], nullptr, live_in_thread, nullptr) == 0;
      if (!started[i]) live_in_thread(nullptr);
    }
    for (size_t i = 0; i < 6; ++i) {
      if (started[i]) pthread_join(ids[i], nullptr);
    }
    drop_every(2);
    if (round == 1) stress::purge();  // the caches of those that ended go, too
  }
  live_in_thread(nullptr);
}

// A child goes on with what it has.
void forks() {
  for (const size_t bytes : {100u, 3000u, 50'000u, 200'000u, 34'000'000u}) take_many(10, bytes);
  drop_every(2);
  const pid_t child = fork();
  if (child == 0) {
    for (const size_t bytes : {50u, 2000u, 70'000u}) take_many(30, bytes);
    check_all();
    drop_every(2);
    stress::purge();
    _exit(0);
  }
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) != child) {
  }
  if (status != 0) fail("the child of a fork failed", nullptr, static_cast<size_t>(status));
  take_many(30, 700);
}

// All that is free goes back, again and again, from between live blocks.
void trim() {
  for (int round = 0; round < 3; ++round) {
    take_many(400, 600);
    take_many(60, 12'000);
    take_many(10, 300 * kKiB);
    drop_every(2);
    stress::purge();
  }
  drop_every(1);
  stress::purge();
  take_many(100, 600);
}

// Short of addresses or of memory: everything that is free anywhere is given up for it.
void exhaustion() {
  take_many(300, 900);
  take_many(60, 20'000);
  take_many(20, 500 * kKiB);
  take(34 * kMiB);
  drop_all();
  take(20 * kMiB);
  take(20 * kMiB);
  take_many(50, 900);
}

}  // namespace

const Workload kWorkloads[] = {
    {"small", small},           {"wide", wide},     {"mid", mid},
    {"large", large},           {"huge", huge},     {"growth", growth},
    {"aligned", aligned},       {"zeroed", zeroed}, {"heaps", heaps},
    {"threads", threads},       {"fork", forks},    {"trim", trim},
    {"exhaustion", exhaustion}, {"drift", drift},
};
const uint32_t kWorkloadCount = std::size(kWorkloads);

}  // namespace tide::faults
