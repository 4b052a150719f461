// A VM source for tests: real memory underneath, but it fails on request, pretends other page
// sizes, finds places taken, counts calls, and checks that the engine gives back only what it got.
//
// FakeOs is the operating system of one engine; a FakeVm talks to the FakeOs that was current when
// it was made (Engine makes its own FakeVm, see EngineBox in engine_client.h). Breaking the
// contract of sys::VmSource ends the process with a line that starts with "fake vm:". Thread safe;
// the hook is called without a lock, so that a test can park or fork inside of a call.
#pragma once

#include <sys/mman.h>
#include <unistd.h>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <vector>

#include "base/align.h"
#include "base/racy.h"
#include "sys/vm.h"
#include "tests/unit/ranges.h"

namespace tide::tests {

enum class VmCall : uint8_t {
  kMapAt,
  kMap,
  kFindFree,
  kUnmap,
  kPurge,
  kRemap,
  kDetach,
  kSetDumped,
  kMovePages
};
inline constexpr size_t kVmCalls = 9;

inline const char* name_of(VmCall call) {
  constexpr const char* kNames[kVmCalls] = {"map_at",       "map",        "find_free",
                                            "unmap",        "purge",      "remap",
                                            "detach_pages", "set_dumped", "move_pages"};
  return kNames[static_cast<size_t>(call)];
}

class FakeOs {
 public:
  struct Options {
    size_t page_bytes = 4096;
    // Fewer than 35: the engine asks find_free() for a place at once, see heap/address_plan.h.
    unsigned address_bits = 34;
    // find_free() has no room for more; decides how large the engine's windows are.
    size_t largest_free_bytes = size_t{8} << 30;
    uint64_t seed = 1;
    bool sparse = false;          // what is_sparse() says
    bool remap_in_place = false;  // else every remap moves
    // What is unmapped inside of a place from find_free() may be given to map() next.
    bool reuse_holes = false;
  };

  struct Event {
    VmCall call;
    uintptr_t address;
    size_t bytes;
  };

  FakeOs() : FakeOs(Options{}) {}
  explicit FakeOs(const Options& options) : options_(options) {}
  FakeOs(const FakeOs&) = delete;
  FakeOs& operator=(const FakeOs&) = delete;
  ~FakeOs() {
    for (const auto& [begin, end] : mapped_.map()) munmap(at(begin), end - begin);
    for (const auto& [begin, end] : reserved_.map()) munmap(at(begin), end - begin);
  }

  static FakeOs*& current() {
    static FakeOs* os = nullptr;
    return os;
  }

  // --- what a test may ask for -------------------------------------------------------------------

  // Calls are numbered from 1. The calls [first, first + count) fail.
  void fail_calls(uint64_t first, uint64_t count = 1) {
    fail_first_ = first;
    fail_count_ = count;
  }
  void fail_every(uint64_t period) { fail_period_ = period; }
  void fail_kind(VmCall call, bool fails = true) { fail_kind_[static_cast<size_t>(call)] = fails; }
  // The calls of map_at numbered [first, first + count), from 1, find their place taken.
  void take_calls(uint64_t first, uint64_t count = 1) {
    take_first_ = first;
    take_count_ = count;
  }
  // Somebody else has mapped this.
  void take_place(uintptr_t address, size_t bytes) { taken_.add(address, address + bytes); }
  void heal() {
    fail_first_ = fail_count_ = fail_period_ = take_first_ = take_count_ = 0;
    for (bool& fails : fail_kind_) fails = false;
  }
  // Called before every call is carried out.
  // No other thread may be in here, nor waiting in the hook that there was.
  void set_hook(std::function<void(const Event&)> hook) { hook_ = std::move(hook); }

  uint64_t calls() const { return calls_; }
  uint64_t calls(VmCall call) const { return calls_of_[static_cast<size_t>(call)]; }
  uint64_t failures() const { return failures_; }
  size_t populated_bytes() const { return populated_; }
  // Where huge pages were asked for.
  const std::vector<uintptr_t>& populated_huge() const { return populated_huge_; }
  size_t mapped_bytes() {
    const std::lock_guard guard(mutex_);
    return mapped_.bytes();
  }
  // What really is in memory of all that is mapped.
  size_t resident_bytes() {
    constexpr size_t kPage = 4096;
    const std::lock_guard guard(mutex_);
    size_t total = 0;
    for (const auto& [begin, end] : mapped_.map()) {
      std::vector<unsigned char> pages((end - begin) / kPage);
      require(mincore(at(begin), end - begin, pages.data()) == 0, "mincore");
      for (const unsigned char page : pages) total += (page & 1) != 0 ? kPage : 0;
    }
    return total;
  }
  // What cores do not have.
  Ranges left_out() {
    const std::lock_guard guard(mutex_);
    return left_out_;
  }
  bool is_mapped(const void* p, size_t bytes) {
    const std::lock_guard guard(mutex_);
    const uintptr_t begin = base::address_of(p);
    return mapped_.covers(begin, begin + bytes);
  }
  const Options& options() const { return options_; }
  // Whether a thread is in here with the lock, or about to be.
  bool is_busy() const { return mutex_.is_wanted(); }
  // A fork at which no other thread is in here.
  pid_t fork_unlocked() {
    const std::lock_guard guard(mutex_);
    return fork();
  }

  // --- sys::VmSource -----------------------------------------------------------------------------

  sys::MapResult map_at(uintptr_t address, size_t bytes) {
    const Verdict verdict = enter({VmCall::kMapAt, address, bytes});
    require(aligned(address) && aligned(bytes) && bytes != 0, "map_at: not whole pages");
    const std::lock_guard guard(mutex_);
    if (verdict == Verdict::kFail) return sys::MapResult::kNoMemory;
    const uintptr_t end = address + bytes;
    if (verdict == Verdict::kTaken || taken_.overlaps(address, end) ||
        mapped_.overlaps(address, end)) {
      return sys::MapResult::kTaken;
    }
    const bool inside = reserved_.covers(address, end);
    // ThreadSanitizer turns other places into address 0.
    if (base::kThreadSanitizer && !inside) return sys::MapResult::kTaken;
    void* const result = mmap(at(address), bytes, PROT_READ | PROT_WRITE,
                              kFlags | (inside ? MAP_FIXED : MAP_FIXED_NOREPLACE), -1, 0);
    if (result != at(address)) {
      if (result != MAP_FAILED) munmap(result, bytes);
      return sys::MapResult::kTaken;
    }
    mapped_.add(address, end);
    return sys::MapResult::kOk;
  }

  void* map(size_t bytes) {
    const Verdict verdict = enter({VmCall::kMap, 0, bytes});
    require(aligned(bytes) && bytes != 0, "map: not whole pages");
    if (verdict == Verdict::kFail) return nullptr;
    const std::lock_guard guard(mutex_);
    return map_locked(bytes);
  }

  uintptr_t find_free(size_t bytes) {
    if (enter({VmCall::kFindFree, 0, bytes}) == Verdict::kFail) return 0;
    if (bytes > options_.largest_free_bytes) return 0;
    // Stays reserved, so that nothing else of the test gets in between.
    void* const place = mmap(nullptr, bytes, PROT_NONE, kFlags, -1, 0);
    if (place == MAP_FAILED) return 0;
    const std::lock_guard guard(mutex_);
    reserved_.add(base::address_of(place), base::address_of(place) + bytes);
    return base::address_of(place);
  }

  bool unmap(void* p, size_t bytes) {
    const Verdict verdict = enter({VmCall::kUnmap, base::address_of(p), bytes});
    const std::lock_guard guard(mutex_);
    require_ours(p, bytes, "unmap");
    if (verdict == Verdict::kFail) return false;
    unmap_locked(p, bytes);
    return true;
  }

  bool purge(void* p, size_t bytes) {
    const Verdict verdict = enter({VmCall::kPurge, base::address_of(p), bytes});
    {
      const std::lock_guard guard(mutex_);
      require_ours(p, bytes, "purge");
    }
    return verdict != Verdict::kFail && madvise(p, bytes, MADV_DONTNEED) == 0;
  }

  // One call for all of them, if this system has such; a failing one gets half of the way.
  uint32_t purge_many(const sys::PageRange* ranges, uint32_t count) {
    if (!purges_many_) return 0;
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; ++i) bytes += ranges[i].bytes;
    if (enter({VmCall::kPurge, ranges[0].begin, bytes}) == Verdict::kFail) count /= 2;
    for (uint32_t i = 0; i < count; ++i) {
      void* const pages = reinterpret_cast<void*>(ranges[i].begin);
      {
        const std::lock_guard guard(mutex_);
        require_ours(pages, ranges[i].bytes, "purge_many");
      }
      if (madvise(pages, ranges[i].bytes, MADV_DONTNEED) != 0) return i;
    }
    return count;
  }
  void let_purge_many(bool can = true) { purges_many_ = can; }

  // What is in the pages stays: nobody may rely on zeros.
  bool purge_lazily(void* p, size_t bytes) {
    const Verdict verdict = enter({VmCall::kPurge, base::address_of(p), bytes});
    const std::lock_guard guard(mutex_);
    require_ours(p, bytes, "purge_lazily");
    return verdict != Verdict::kFail;
  }

  void populate(void* p, size_t bytes) {
    const std::lock_guard guard(mutex_);
    require_ours(p, bytes, "populate");
    populated_ += bytes;
    // Others may be using these pages.
    for (size_t i = 0; i < bytes; i += 4096) {
      __atomic_fetch_add(static_cast<char*>(p) + i, char{0}, __ATOMIC_RELAXED);
    }
  }

  void populate_huge(void* p, size_t bytes) {
    populate(p, bytes);
    const std::lock_guard guard(mutex_);
    constexpr size_t kHugePage = size_t{2} << 20;
    require(base::address_of(p) % kHugePage == 0 && bytes % kHugePage == 0,
            "populate_huge: not whole huge pages");
    populated_huge_.push_back(base::address_of(p));
  }

  void* remap(void* p, size_t old_bytes, size_t new_bytes) {
    const Verdict verdict = enter({VmCall::kRemap, base::address_of(p), new_bytes});
    const std::lock_guard guard(mutex_);
    require_ours(p, old_bytes, "remap");
    require(aligned(new_bytes) && new_bytes != 0, "remap: not whole pages");
    if (verdict == Verdict::kFail) return nullptr;
    if (new_bytes <= old_bytes && options_.remap_in_place) {
      if (new_bytes != old_bytes) {
        unmap_locked(static_cast<char*>(p) + new_bytes, old_bytes - new_bytes);
      }
      return p;
    }
    void* const result = map_locked(new_bytes);
    if (result == nullptr) return nullptr;
    memcpy(result, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    unmap_locked(p, old_bytes);
    return result;
  }

  bool set_dumped(void* p, size_t bytes, bool dumped) {
    const uintptr_t begin = base::address_of(p);
    const Verdict verdict = enter({VmCall::kSetDumped, begin, bytes});
    const std::lock_guard guard(mutex_);
    require_ours(p, bytes, "set_dumped");
    if (verdict == Verdict::kFail) return false;
    if (dumped) {
      left_out_.remove(begin, begin + bytes);
    } else {
      left_out_.add(begin, begin + bytes);
    }
    return true;
  }

  void* detach_pages(void* p, size_t bytes) {
    const Verdict verdict = enter({VmCall::kDetach, base::address_of(p), bytes});
    const std::lock_guard guard(mutex_);
    require_ours(p, bytes, "detach_pages");
    if (verdict == Verdict::kFail) return nullptr;
    void* const result = map_locked(bytes);
    if (result == nullptr) return nullptr;
    memcpy(result, p, bytes);
    madvise(p, bytes, MADV_DONTNEED);
    return result;
  }

  // Every other one that fails leaves the destination unmapped, and to somebody else. The hook is
  // called once more when it is done, with 0 bytes.
  sys::MoveResult move_pages(void* from, void* to, size_t bytes) {
    const Verdict verdict = enter({VmCall::kMovePages, base::address_of(from), bytes});
    const sys::MoveResult result = move_locked(verdict, from, to, bytes);
    if (hook_) hook_({VmCall::kMovePages, base::address_of(to), 0});
    return result;
  }

 private:
  enum class Verdict : uint8_t { kDo, kFail, kTaken };

  // Says so from before it is locked until after it is unlocked.
  class Mutex {
   public:
    void lock() {
      wanted_.fetch_add(1);
      mutex_.lock();
    }
    void unlock() {
      mutex_.unlock();
      wanted_.fetch_sub(1);
    }
    bool is_wanted() const { return wanted_.load() != 0; }

   private:
    std::mutex mutex_;
    std::atomic<int> wanted_{0};
  };

  static constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

  static void* at(uintptr_t address) { return base::pointer_to<void>(address); }
  bool aligned(uintptr_t value) const { return base::is_aligned(value, options_.page_bytes); }

  static void require(bool condition, const char* text) {
    if (condition) return;
    fprintf(stderr, "fake vm: %s\n", text);
    abort();
  }

  void require_ours(const void* p, size_t bytes, const char* call) const {
    const uintptr_t begin = base::address_of(p);
    if (aligned(begin) && aligned(bytes) && bytes != 0 && mapped_.covers(begin, begin + bytes)) {
      return;
    }
    fprintf(stderr, "fake vm: %s of %p, %zu bytes: not whole pages of the engine's\n", call, p,
            bytes);
    abort();
  }

  Verdict enter(const Event& event) {
    if (hook_) hook_(event);
    const std::lock_guard guard(mutex_);
    const uint64_t number = ++calls_;
    const uint64_t of_kind = ++calls_of_[static_cast<size_t>(event.call)];
    if ((number - fail_first_ < fail_count_) || (fail_period_ != 0 && number % fail_period_ == 0) ||
        fail_kind_[static_cast<size_t>(event.call)]) {
      ++failures_;
      return Verdict::kFail;
    }
    if (event.call == VmCall::kMapAt && of_kind - take_first_ < take_count_) return Verdict::kTaken;
    return Verdict::kDo;
  }

  sys::MoveResult move_locked(Verdict verdict, void* from, void* to, size_t bytes) {
    const std::lock_guard guard(mutex_);
    require_ours(from, bytes, "move_pages from");
    require_ours(to, bytes, "move_pages to");
    if (verdict == Verdict::kFail) {
      if (++failed_moves_ % 2 == 1) return sys::MoveResult::kUnchanged;
      unmap_locked(to, bytes);
      taken_.add(base::address_of(to), base::address_of(to) + bytes);
      return sys::MoveResult::kLost;
    }
    memcpy(to, from, bytes);
    madvise(from, bytes, MADV_DONTNEED);
    // What was said of the pages moves with them.
    const uintptr_t source = base::address_of(from);
    const uintptr_t place = base::address_of(to);
    const Ranges moved = left_out_.part(source, source + bytes);
    left_out_.remove(place, place + bytes);
    for (const auto& [begin, end] : moved.map()) {
      left_out_.add(begin - source + place, end - source + place);
    }
    return sys::MoveResult::kMoved;
  }

  void* map_locked(size_t bytes) {
    // Room to align to a pretended page size, and a hole behind, so that neighbours never merge.
    const size_t total = bytes + 2 * options_.page_bytes;
    if (total < bytes) return nullptr;
    void* const place = mmap(nullptr, total, PROT_NONE, kFlags, -1, 0);
    if (place == MAP_FAILED) return nullptr;
    // The place stays taken all the time: other threads of the test map memory, too.
    const uintptr_t begin = base::align_up(base::address_of(place), options_.page_bytes);
    const uintptr_t end = base::address_of(place) + total;
    void* const result = mmap(at(begin), bytes, PROT_READ | PROT_WRITE, kFlags | MAP_FIXED, -1, 0);
    if (begin != base::address_of(place)) munmap(place, begin - base::address_of(place));
    munmap(at(begin + bytes), end - begin - bytes);
    if (result == MAP_FAILED) return nullptr;
    mapped_.add(begin, begin + bytes);
    return result;
  }

  void unmap_locked(void* p, size_t bytes) {
    const uintptr_t begin = base::address_of(p);
    if (!options_.reuse_holes && reserved_.covers(begin, begin + bytes)) {
      mmap(p, bytes, PROT_NONE, kFlags | MAP_FIXED, -1, 0);
    } else {
      munmap(p, bytes);
      reserved_.remove(begin, begin + bytes);
    }
    mapped_.remove(begin, begin + bytes);
    left_out_.remove(begin, begin + bytes);
  }

  const Options options_;
  Mutex mutex_;
  Ranges mapped_;
  Ranges left_out_;
  Ranges reserved_;  // held with PROT_NONE for find_free()
  Ranges taken_;
  std::function<void(const Event&)> hook_;
  uint64_t calls_ = 0;
  uint64_t calls_of_[kVmCalls] = {};
  uint64_t failed_moves_ = 0;
  uint64_t failures_ = 0;
  size_t populated_ = 0;
  std::vector<uintptr_t> populated_huge_;
  bool purges_many_ = false;
  uint64_t fail_first_ = 0, fail_count_ = 0, fail_period_ = 0;
  uint64_t take_first_ = 0, take_count_ = 0;
  bool fail_kind_[kVmCalls] = {};
};

class FakeVm {
 public:
  FakeVm() : os_(FakeOs::current()) {}

  size_t page_size() { return os_->options().page_bytes; }
  unsigned address_bits() { return os_->options().address_bits; }
  uint64_t random_seed() { return os_->options().seed; }
  sys::MapResult map_at(uintptr_t address, size_t bytes) { return os_->map_at(address, bytes); }
  void* map(size_t bytes) { return os_->map(bytes); }
  uintptr_t find_free(size_t bytes) { return os_->find_free(bytes); }
  bool unmap(void* p, size_t bytes) { return os_->unmap(p, bytes); }
  bool purge(void* p, size_t bytes) { return os_->purge(p, bytes); }
  uint32_t purge_many(const sys::PageRange* ranges, uint32_t count) {
    return os_->purge_many(ranges, count);
  }
  bool purge_lazily(void* p, size_t bytes) { return os_->purge_lazily(p, bytes); }
  void deny(void*, size_t) {}
  void populate(void* p, size_t bytes) { os_->populate(p, bytes); }
  void populate_huge(void* p, size_t bytes) { os_->populate_huge(p, bytes); }
  bool is_sparse(void*, size_t) { return os_->options().sparse; }
  void* remap(void* p, size_t old_bytes, size_t new_bytes) {
    return os_->remap(p, old_bytes, new_bytes);
  }
  bool set_dumped(void* p, size_t bytes, bool dumped) { return os_->set_dumped(p, bytes, dumped); }
  void* detach_pages(void* p, size_t bytes) { return os_->detach_pages(p, bytes); }
  sys::MoveResult move_pages(void* from, void* to, size_t bytes) {
    return os_->move_pages(from, to, bytes);
  }

 private:
  FakeOs* os_;
};

static_assert(sys::VmSource<FakeVm>);

}  // namespace tide::tests
