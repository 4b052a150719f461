// A fixed list of operations, again and again, each time with another call to the system failing:
// nothing is lost, nothing crashes, and when the system works again, so does everything.
#include <gtest/gtest.h>
#include <map>
#include <vector>

#include "tests/unit/crash_note.h"
#include "tests/unit/engine_client.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

// Sanitizers are slow: they get every third case of the long lists.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kStride = 3;
#else
constexpr uint64_t kStride = 1;
#endif

// Runs the list; knows what every live block must contain.
class Scenario {
 public:
  explicit Scenario(EngineBox& box) : box_(box), engine_(*box.engine) {}

  // Returns false when the engine could not start.
  bool all() {
    heap::Config config = heap::Config::defaults();
    config.huge_threshold_bytes = kMiB / 2;
    config.huge_cache_bytes = 2 * kMiB;
    config.remap_threshold_bytes = kMiB / 4;
    bool started = false;
    for (int attempt = 0; attempt < 3 && !started; ++attempt) started = box_.start(config);
    if (!started) return false;
    clients_.push_back(std::make_unique<Client>(engine_));
    clients_.push_back(std::make_unique<Client>(engine_));
    clients_.push_back(std::make_unique<Client>(engine_, false));
    const size_t sizes[] = {1, 24, 500, 1024, 3000, 30'000, 65'536, 70'000, 300'000, 700'000};
    for (int round = 0; round < 2; ++round) {
      for (const size_t bytes : sizes) {
        for (size_t c = 0; c < clients_.size(); ++c) take(c, clients_[c]->allocate(bytes), bytes);
        take_zeroed(clients_[0]->allocate_zeroed(bytes + 5), bytes + 5);
        take(1, clients_[1]->allocate_aligned(8192, bytes), bytes);
      }
      take(0, clients_[0]->allocate_aligned(64 * kMiB, 100), 100);
      FakeHeap* const heap = engine_.heap_create(4 * kMiB);
      if (heap != nullptr) use_heap(heap);
      resize_all(round);
      release_some(3);
      clients_[0]->purge();
      clients_[1]->park();
      clients_[1]->acquire();
      if (heap != nullptr) engine_.heap_destroy(heap);
    }
    return true;
  }

  void check() {
    for (const auto& [block, what] : live_) {
      ASSERT_GE(engine_.usable_bytes(block), what.bytes);
      ASSERT_NO_FATAL_FAILURE(check_contents(block, what));
    }
    engine_.verify();
  }

  // The system works again: so must everything.
  void check_recovered() {
    Client client(engine_);
    ASSERT_NE(client.cache(), nullptr);
    for (const size_t bytes : {1u, 300u, 1024u, 5000u, 65'536u, 200'000u, 600'000u}) {
      for (int i = 0; i < 6; ++i) {
        void* const block = client.allocate(bytes);
        ASSERT_NE(block, nullptr) << bytes;
        take(0, block, bytes);
      }
    }
    FakeHeap* const heap = engine_.heap_create(SIZE_MAX);
    ASSERT_NE(heap, nullptr);
    void* const block = engine_.heap_allocate(heap, 100, 0, true);
    ASSERT_NE(block, nullptr);
    engine_.heap_destroy(heap);
    ASSERT_NO_FATAL_FAILURE(check());
    while (!live_.empty()) {
      ASSERT_EQ(client.release(live_.begin()->first), heap::Released::kDone);
      live_.erase(live_.begin());
    }
    client.purge();
    for (auto& other : clients_) engine_.purge(other->cache());
    engine_.verify();
    heap::Stats stats;
    engine_.collect_stats(stats);
    ASSERT_EQ(stats.live_blocks, 0u);
    ASSERT_EQ(stats.live_bytes, 0u);
  }

 private:
  struct What {
    size_t bytes;
    unsigned char value;
  };

  static size_t stride(size_t bytes) { return bytes > 8192 ? 1021 : 1; }

  void take(size_t, void* block, size_t bytes) {
    if (block == nullptr) return;
    ASSERT_EQ(live_.count(block), 0u);
    const What what{bytes, static_cast<unsigned char>(++counter_ | 1)};
    auto* p = static_cast<unsigned char*>(block);
    for (size_t i = 0; i < bytes; i += stride(bytes)) p[i] = what.value;
    p[bytes - 1] = what.value;
    live_[block] = what;
  }

  void take_zeroed(void* block, size_t bytes) {
    if (block == nullptr) return;
    const auto* p = static_cast<unsigned char*>(block);
    for (size_t i = 0; i<bytes; i += bytes> 8192 ? 63 : 1) ASSERT_EQ(p[i], 0);
    take(0, block, bytes);
  }

  static void check_contents(void* block, const What& what) {
    const auto* p = static_cast<unsigned char*>(block);
    for (size_t i = 0; i < what.bytes; i += stride(what.bytes)) ASSERT_EQ(p[i], what.value);
    ASSERT_EQ(p[what.bytes - 1], what.value);
  }

  void use_heap(FakeHeap* heap) {
    std::vector<void*> freed;
    for (const size_t bytes : {10u, 2000u, 100'000u, 600'000u}) {
      void* const block = engine_.heap_allocate(heap, bytes, 0, true);
      if (block == nullptr) continue;
      const auto* p = static_cast<unsigned char*>(block);
      for (size_t i = 0; i < bytes; i += 7) ASSERT_EQ(p[i], 0);
      memset(block, 1, bytes);
      void* const other = engine_.heap_allocate(heap, bytes, 64, false);
      if (other != nullptr) freed.push_back(other);
      void* const moved = clients_[0]->reallocate(block, bytes * 3);
      if (moved != nullptr) {
        ASSERT_EQ(static_cast<unsigned char*>(moved)[bytes - 1], 1);
      }
    }
    for (void* block : freed) ASSERT_EQ(clients_[1]->release(block), heap::Released::kDone);
    ASSERT_LE(engine_.heap_use(heap).live_bytes, 4 * kMiB);
  }

  void resize_all(int round) {
    std::vector<std::pair<void*, What>> now(live_.begin(), live_.end());
    size_t turn = 0;
    for (const auto& [block, what] : now) {
      if (++turn % 3 != 0) continue;
      size_t bytes = round == 0 ? what.bytes * 2 + 7 : what.bytes / 3 + 1;
      if (turn % 12 == 0) bytes += kMiB / 2;
      void* const moved = clients_[turn % 2]->reallocate(block, bytes);
      if (moved == nullptr) {
        ASSERT_NO_FATAL_FAILURE(check_contents(block, what));
        continue;
      }
      live_.erase(block);
      What kept = what;
      if (bytes < kept.bytes) {
        // Only the bytes that fit are left: fill anew after a look at the first ones.
        ASSERT_EQ(*static_cast<unsigned char*>(moved), what.value);
        ASSERT_NO_FATAL_FAILURE(take(0, moved, bytes));
      } else {
        ASSERT_NO_FATAL_FAILURE(check_contents(moved, kept));
        ASSERT_EQ(live_.count(moved), 0u);
        live_[moved] = kept;
      }
    }
  }

  void release_some(size_t period) {
    size_t turn = 0;
    for (auto it = live_.begin(); it != live_.end();) {
      if (++turn % period == 0) {
        ++it;
        continue;
      }
      ASSERT_NO_FATAL_FAILURE(check_contents(it->first, it->second));
      ASSERT_EQ(clients_[turn % 3]->release(it->first), heap::Released::kDone);
      it = live_.erase(it);
    }
  }

  EngineBox& box_;
  FakeEngine& engine_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<void*, What> live_;
  unsigned counter_ = 0;
};

uint64_t calls_of_a_clean_run(const FakeOs::Options& options) {
  EngineBox box(options);
  Scenario run(box);
  EXPECT_TRUE(run.all());
  run.check();
  run.check_recovered();
  return box.os.calls();
}

struct Variant {
  const char* name;
  uint64_t count;  // of calls that fail
};

class FailingVm : public testing::TestWithParam<size_t> {
 protected:
  // Small windows: sanitizers' shadow of them takes time.
  FakeOs::Options options{.page_bytes = GetParam(), .largest_free_bytes = size_t{260} << 20};
};

INSTANTIATE_TEST_SUITE_P(PageSizes, FailingVm, testing::Values(4096, 65536));

TEST_P(FailingVm, EveryCallOnceAndInStretches) {
  const uint64_t calls = calls_of_a_clean_run(options);
  ASSERT_GT(calls, 50u);
  for (const Variant& variant : {Variant{"one call", 1}, Variant{"five calls", 5},
                                 Variant{"all calls from there on", UINT64_MAX / 2}}) {
    for (uint64_t k = 1; k <= calls; k += kStride) {
      SCOPED_TRACE(testing::Message() << variant.name << ", from " << k << " of " << calls);
      set_crash_note("failing_vm_test: %s fail, from %lu of %lu", variant.name, k, calls);
      EngineBox box(options);
      box.os.fail_calls(k, variant.count);
      Scenario run(box);
      const bool ran = run.all();
      if (ran) {
        ASSERT_NO_FATAL_FAILURE(run.check());
      }
      if (HasFailure()) return;
      box.os.heal();
      if (!ran) {
        ASSERT_TRUE(run.all()) << "the engine starts when the system works again";
      }
      ASSERT_NO_FATAL_FAILURE(run.check_recovered());
    }
  }
}

// The scenario while calls fail, then once more where it could not start, with a healed system.
void run_then_recover(EngineBox& box) {
  Scenario run(box);
  const bool ran = run.all();
  if (ran) {
    ASSERT_NO_FATAL_FAILURE(run.check());
  }
  box.os.heal();
  if (!ran) {
    ASSERT_TRUE(run.all());
  }
  ASSERT_NO_FATAL_FAILURE(run.check_recovered());
}

TEST_P(FailingVm, EachKindOfCallAlways) {
  for (size_t kind = 0; kind < kVmCalls; ++kind) {
    SCOPED_TRACE(name_of(static_cast<VmCall>(kind)));
    set_crash_note("failing_vm_test: every %s fails", name_of(static_cast<VmCall>(kind)));
    EngineBox box(options);
    box.os.fail_kind(static_cast<VmCall>(kind));
    ASSERT_NO_FATAL_FAILURE(run_then_recover(box));
  }
}

TEST_P(FailingVm, EverySoManyCalls) {
  for (uint64_t period = 2; period <= 30; ++period) {
    SCOPED_TRACE(period);
    set_crash_note("failing_vm_test: every %luth call fails", period);
    EngineBox box(options);
    box.os.fail_every(period);
    ASSERT_NO_FATAL_FAILURE(run_then_recover(box));
  }
}

// Whatever place the engine wants next, somebody has it already.
TEST_P(FailingVm, EveryPlaceTakenOnce) {
  options.largest_free_bytes = FakeOs::Options{}.largest_free_bytes;  // there are other places
  EngineBox clean(options);
  Scenario first(clean);
  ASSERT_TRUE(first.all());
  const uint64_t places = clean.os.calls(VmCall::kMapAt);
  for (const uint64_t count : {1u, 2u}) {
    for (uint64_t k = 1; k <= places; k += kStride) {
      SCOPED_TRACE(testing::Message() << count << " places taken from " << k << " of " << places);
      set_crash_note("failing_vm_test: %lu places taken, from %lu of %lu", count, k, places);
      EngineBox box(options);
      box.os.take_calls(k, count);
      Scenario run(box);
      ASSERT_TRUE(run.all());
      ASSERT_NO_FATAL_FAILURE(run.check());
      box.os.heal();
      ASSERT_NO_FATAL_FAILURE(run.check_recovered());
    }
  }
}

}  // namespace
}  // namespace tide::tests
