// The registry of thread caches, in a few lines that stand for heap/cache_pool.h: register_locked()
// publishes a cache, shelve() takes it out and gives its page back, for_each() reads without the
// lock. And a block's way from one thread to another: its state byte is written by whoever has it,
// with nothing but the depot's word in between. quoted.py checks that the lines are still there.
#include <string>

#include "tests/model/checker/run_models.h"
#include "tests/model/checker/words.h"

namespace {

using checker::Order;

// A site whose order can be weakened, as instrument.py makes them.
Order release(const char* site) { return checker::order_at(site, Order::release); }
Order acquire(const char* site) { return checker::order_at(site, Order::acquire); }

struct Cache {
  checker::Racy<int> home{0};  // what prepare() fills in; 0: a page that has gone back
  checker::Racy<Cache*> next{nullptr};
};

// Thread 0 makes caches, thread 1 visits, thread 2 shelves the old one.
struct RegistryModel : checker::Model {
  explicit RegistryModel(bool locks_drain) : with_drain_lock(locks_drain) {
    old.home = 7;
    all = &old;
  }

  void thread(uint32_t t) override {
    if (t == 0) return make();
    if (t == 1) return visit();
    shelve();
  }

  void make() {
    lock.lock();
    made.home = 7;  // src: prepare(*cache, config.tail_bytes);
    // src: base::racy_store(cache.next, all_);
    made.next.store(all.load(Order::relaxed), Order::relaxed);
    // src: base::published_store(all_, &cache);  // pairs with for_each()
    all.store(&made, release("cache_pool.h: release in register_locked"));
    lock.unlock();
  }

  void visit() {
    if (with_drain_lock) drain_lock.lock();
    // src: for (ThreadCache* cache = base::published_load(all_); cache != nullptr;
    for (Cache* cache = all.load(acquire("cache_pool.h: acquire in for_each")); cache != nullptr;
         // src: cache = base::published_load(cache->next)) {
         cache = cache->next.load(acquire("cache_pool.h: acquire 2 in for_each"))) {
      const int home = cache->home;
      checker::require(home == 7 || (!with_drain_lock && cache == &old && home == 0),
                       "a cache is seen that is not prepared");
    }
    if (with_drain_lock) drain_lock.unlock();
  }

  void shelve() {
    if (!checker::mutated("registry: shelved without the drain lock")) {
      drain_lock.lock();  // src: const ds::LockGuard no_drain(drain_lock_);
    }
    lock.lock();
    // src: base::published_store(*link, cache.next);
    if (all.load(Order::relaxed) == &old) {
      all.store(nullptr, Order::release);
    } else {
      made.next.store(nullptr, Order::release);
    }
    lock.unlock();
    if (!checker::mutated("registry: shelved without the drain lock")) drain_lock.unlock();
    // src: const bool gone = purger.give_back(base::address_of(&cache), bytes);
    old.home = 0;
    old.next = nullptr;
  }

  const bool with_drain_lock;
  checker::Mutex lock, drain_lock;
  checker::Racy<Cache*> all{nullptr};
  Cache old, made;
};

// Thread 0 frees a block and hands it over, thread 1 mallocs it and frees it again.
struct HandOverModel : checker::Model {
  static constexpr int kFree = 0;
  static constexpr int kLive = 3;

  void thread(uint32_t t) override {
    if (t == 0) {
      const auto state_to_free = [&] {
        checker::require(state == kLive, "a live block's first free is refused");
        // src: base::racy_store(states[granule], static_cast<uint8_t>(layout::kNotLive));
        state.store(kFree, Order::relaxed);
      };
      if (!checker::mutated("hand-over: the state is written after")) state_to_free();
      depot.store(1, release("depot.h: release in put"));
      if (checker::mutated("hand-over: the state is written after")) state_to_free();
      return;
    }
    if (depot.load(acquire("depot.h: acquire in take")) == 0) return;
    // src: base::racy_store(zone.state_of_shifted(shifted), static_cast<uint8_t>(stack));
    state.store(kLive, Order::relaxed);
    // src: if (TIDE_UNLIKELY(base::stale_load(states[granule]) != live)) return false;
    checker::require(state == kLive, "the free of the new owner is refused");
    has_it = true;
  }
  void finish() override {
    checker::require(state.load() == (has_it ? kLive : kFree), "the state is not its owner's");
  }

  checker::Racy<int> state{kLive};
  checker::Atomic<int> depot{0};
  bool has_it = false;
};

// A thread frees a span into its cache and takes it back, without the zone's lock, then gives it to
// the zone (heap/span_cache.h, large_zone.h); another one frees the neighbour and merges meanwhile.
struct SpanModel : checker::Model {
  enum State : int { kLive, kCached, kDirty, kInside };

  void thread(uint32_t t) override {
    if (t == 1) return merge();
    state.store(kCached, Order::relaxed);  // src: base::racy_store(entry.state, State::kCached);
    // src: base::racy_store(entries_[page].state, State::kLive);
    state.store(kLive, Order::relaxed);
    state.store(kCached, Order::relaxed);
    const bool locks = !checker::mutated("span: given to the zone without its lock");
    if (locks) lock.lock();
    is_mine = false;
    free_pages = 3;
    state.store(kDirty, Order::relaxed);  // src: insert_free(page, State::kDirty);
    if (locks) lock.unlock();
  }

  void merge() {
    lock.lock();
    if (state.load(Order::relaxed) == kDirty) {
      checker::require(!is_mine, "a span is merged that is in a thread's hands");
      free_pages = free_pages + 1;
      state.store(kInside, Order::relaxed);
    }
    lock.unlock();
  }

  checker::Mutex lock;
  checker::Racy<int> state{kLive};
  checker::Plain<int> free_pages;
  bool is_mine = true;
};

}  // namespace

int main(int argc, char** argv) {
  const checker::Suite suite{
      .programs = {{"registry", 3, [] { return new RegistryModel(false); }},
                   {"registry, drain lock", 3, [] { return new RegistryModel(true); }},
                   {"hand-over", 2, [] { return new HandOverModel; }},
                   {"cached span", 2, [] { return new SpanModel; }}},
      .mutations = {"registry: shelved without the drain lock",
                    "span: given to the zone without its lock",
                    "hand-over: the state is written after"},
      .unneeded = {{"cache_pool.h: acquire 2 in for_each",
                    "one load of the head is enough for what was registered before it"}},
  };
  return checker::run_suite(suite, argc, argv);
}
