// An engine of its own for each test, and a thread's view of it: the same steps as in
// api/allocate.cc, so that tests go through fast and slow paths as programs do.
#pragma once

#include <cstring>
#include <memory>

#include "heap/engine_blocks.h"
#include "heap/engine_decay.h"
#include "heap/engine_heaps.h"
#include "heap/engine_limits.h"
#include "heap/engine_purge.h"
#include "heap/engine_resize.h"
#include "heap/engine_sampling.h"
#include "heap/engine_survey.h"
#include "heap/engine_trade.h"
#include "heap/engine_verify.h"
#include "tests/unit/fake_vm.h"

namespace tide::heap {
// Compiled once, in fake_engine.cc.
extern template class Engine<tests::FakeVm>;
}  // namespace tide::heap

namespace tide::tests {

using FakeEngine = heap::Engine<FakeVm>;
using FakeHeap = heap::PrivateHeap<FakeVm>;

// malloc, free and so on for one thread, or for a thread without a cache.
class Client {
 public:
  // `with_cache` false: as after a thread's end.
  explicit Client(FakeEngine& engine, bool with_cache = true) : engine_(engine) {
    if (with_cache) cache_ = engine.acquire_cache();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void* allocate(size_t bytes) {
    if (cache_ != nullptr) {
      if (void* const block = heap::allocate_fast(engine_.space(), *cache_, bytes)) return block;
    }
    return engine_.allocate_slow(cache_, bytes);
  }
  void* allocate_zeroed(size_t bytes) { return engine_.allocate_zeroed(cache_, bytes); }
  void* allocate_aligned(size_t alignment, size_t bytes) {
    return engine_.allocate_aligned(cache_, alignment, bytes);
  }

  heap::Released release(void* p) {
    if (cache_ != nullptr && heap::release_fast(engine_.space(), *cache_, p)) {
      return heap::Released::kDone;
    }
    const heap::Released result = engine_.release_slow(cache_, p);
    engine_.wants_look(cache_);
    return result;
  }

  void* reallocate(void* p, size_t bytes) {
    const size_t usable = engine_.usable_bytes(p);
    if (void* const same = engine_.resize(p, usable, bytes, cache_)) return same;
    FakeHeap* const heap = engine_.heap_of(p);
    void* const moved =
        heap != nullptr ? engine_.heap_allocate(heap, bytes, 0, false) : allocate(bytes);
    if (moved == nullptr) return bytes <= usable ? p : nullptr;
    memcpy(moved, p, bytes < usable ? bytes : usable);
    release(p);
    return moved;
  }

  size_t purge() { return engine_.purge(cache_); }

  // The thread ends.
  void park() {
    if (cache_ != nullptr) engine_.park_cache(*cache_);
    cache_ = nullptr;
  }
  void acquire() {
    if (cache_ == nullptr) cache_ = engine_.acquire_cache();
  }
  heap::ThreadCache* cache() { return cache_; }

 private:
  FakeEngine& engine_;
  heap::ThreadCache* cache_ = nullptr;
};

// A FakeOs and an engine on it. The engine is not started yet.
struct EngineBox {
  explicit EngineBox(const FakeOs::Options& options = {}) : os(options) {
    FakeOs::current() = &os;
    engine = std::make_unique<FakeEngine>();
  }

  bool start(const heap::Config& config = heap::Config::defaults()) {
    return engine->start(config);
  }

  FakeOs os;
  std::unique_ptr<FakeEngine> engine;
};

// One that is started, with one thread.
struct StartedBox : EngineBox {
  explicit StartedBox(const FakeOs::Options& options = {},
                      const heap::Config& config = heap::Config::defaults())
      : EngineBox(options), started(start(config)), client(*engine) {}

  const bool started;
  Client client;
};

}  // namespace tide::tests
