// What the workloads of bench/return share: reading this process's RSS without a call of malloc,
// bookkeeping that malloc never sees, the page floor of the blocks still live, RSS over time.
//
// Owns: the meaning of "page floor": the OS pages that requested bytes of live blocks lie on, so
// the least that any allocator could keep resident without moving blocks.
// Used by: the programs of this folder that bench/return runs. They idle while the allocator may
// give memory back, so nothing here allocates, and all tables are mapped and written beforehand.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>

#include "harness.h"

namespace tide::bench {

// A table in a mapping of its own, every page written: from now on its share of RSS is constant.
template <class T>
class Table {
 public:
  explicit Table(size_t capacity) : capacity_(capacity) {
    void* const mapping = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (mapping == MAP_FAILED) fail("no memory for a table of the benchmark");
    items_ = static_cast<T*>(mapping);
  }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  ~Table() { munmap(static_cast<void*>(items_), bytes()); }

  size_t capacity() const { return capacity_; }
  size_t size() const { return size_; }
  void clear() { size_ = 0; }
  void shrink(size_t size) { size_ = size; }
  T* begin() { return items_; }
  T* end() { return items_ + size_; }
  T& operator[](size_t i) { return items_[i]; }

  void push(const T& item) {
    if (size_ == capacity_) fail("a table of the benchmark is too small");
    items_[size_++] = item;
  }

  // Takes an item out; the last one comes into its place.
  T take(size_t i) {
    const T item = items_[i];
    items_[i] = items_[--size_];
    return item;
  }

 private:
  size_t bytes() const { return std::max(capacity_, size_t{1}) * sizeof(T); }

  size_t capacity_;
  size_t size_ = 0;
  T* items_;
};

struct Held {
  char* block;
  size_t bytes;  // as requested
};

// How many different OS pages the blocks' requested bytes lie on.
inline size_t count_pages(const Held* blocks, size_t count) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = [&](const Held& held) {
    return reinterpret_cast<uintptr_t>(held.block) / page;
  };
  const auto last = [&](const Held& held) {
    return (reinterpret_cast<uintptr_t>(held.block) + held.bytes - 1) / page;
  };
  Table<Held> sorted(count);
  for (size_t i = 0; i < count; ++i) sorted.push(blocks[i]);
  std::sort(sorted.begin(), sorted.end(),
            [](const Held& a, const Held& b) { return a.block < b.block; });
  size_t pages = 0;
  uintptr_t next = 0;  // the lowest page that was not counted yet
  for (const Held& held : sorted) {
    const uintptr_t from = std::max(first(held), next);
    if (last(held) < from) continue;
    pages += last(held) - from + 1;
    next = last(held) + 1;
  }
  return pages;
}

inline double page_floor_kib(const Held* blocks, size_t count) {
  return static_cast<double>(count_pages(blocks, count)) *
         static_cast<double>(sysconf(_SC_PAGESIZE)) / 1024;
}

// This process's RSS above what it was at rebase(), read with one system call.
class Rss {
 public:
  Rss() : file_(open("/proc/self/statm", O_RDONLY | O_CLOEXEC)) {
    if (file_ < 0) fail("no /proc/self/statm: is /proc mounted?");
  }
  Rss(const Rss&) = delete;
  Rss& operator=(const Rss&) = delete;
  ~Rss() { close(file_); }

  void rebase() { base_ = whole_kib(); }
  uint64_t base_kib() const { return base_; }
  uint64_t kib() const { return whole_kib() - std::min(base_, whole_kib()); }

 private:
  uint64_t whole_kib() const {
    char text[128] = {};
    if (pread(file_, text, sizeof text - 1, 0) <= 0) fail("/proc/self/statm cannot be read");
    const char* const second = std::strchr(text, ' ');  // size, then resident pages
    const uint64_t pages = second == nullptr ? 0 : std::strtoull(second, nullptr, 10);
    return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 1024;
  }

  int file_;
  uint64_t base_ = 0;
};

inline void sleep_until(double when) {
  timespec time{};
  time.tv_sec = static_cast<time_t>(when);
  time.tv_nsec = static_cast<long>((when - static_cast<double>(time.tv_sec)) * 1e9);
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr);
}

// Live bytes of one thread. Each writes its own, whoever watches adds them up.
struct alignas(64) LiveBytes {
  std::atomic<int64_t> value{0};

  void add(int64_t bytes) {  // by the owner alone
    value.store(value.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  }
};

// RSS and live bytes every 20 ms, for the plot of bench/return.
class Timeline {
 public:
  static constexpr double kStep = 0.02;

  Timeline(const Rss& rss, const LiveBytes* live, size_t threads, double longest_seconds)
      : rss_(rss),
        live_(live),
        threads_(threads),
        points_(static_cast<size_t>(longest_seconds / kStep) + 2) {}

  void start(double now) { begin_ = now; }

  // Samples until `when`.
  void watch_until(double when) {
    while (seconds_now() < when) {
      sleep_until(std::min(when, next_));
      sample();
    }
  }

  // Samples until the flag is set.
  void watch(const std::atomic<bool>& done) {
    while (!done.load(std::memory_order_acquire)) {
      sleep_until(next_);
      sample();
    }
  }

  // Three lists of the same length: series_ms, series_rss_kib, series_live_kib.
  void add_to(Meter& meter) {
    meter.add_list("series_ms", points_.size(), [&](size_t i) { return points_[i].ms; });
    meter.add_list("series_rss_kib", points_.size(), [&](size_t i) { return points_[i].rss_kib; });
    meter.add_list("series_live_kib", points_.size(),
                   [&](size_t i) { return points_[i].live_kib; });
  }

 private:
  struct Point {
    uint64_t ms, rss_kib, live_kib;
  };

  void sample() {
    const double now = seconds_now();
    if (now < next_ || points_.size() == points_.capacity()) return;
    int64_t live = 0;
    for (size_t i = 0; i < threads_; ++i) live += live_[i].value.load(std::memory_order_relaxed);
    points_.push({static_cast<uint64_t>((now - begin_) * 1e3), rss_.kib(),
                  static_cast<uint64_t>(std::max<int64_t>(live, 0)) / 1024});
    next_ = now + kStep;
  }

  const Rss& rss_;
  const LiveBytes* live_;
  size_t threads_;
  Table<Point> points_;
  double begin_ = 0;
  double next_ = 0;
};

}  // namespace tide::bench
