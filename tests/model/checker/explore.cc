#include "tests/model/checker/explore.h"

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "tests/model/checker/fiber.h"

namespace checker {

namespace {

constexpr uint32_t kNobody = UINT32_MAX;
constexpr uint32_t kNoWord = UINT32_MAX;
constexpr size_t kMostTraceBytes = 6000;

struct Next {
  Access access = Access::kStep;
  uint32_t word = kNoWord;
};

bool is_like_fence(Access access) {
  return access == Access::kFence || access == Access::kWait || access == Access::kWake;
}

// Whether it matters which of the two comes first.
bool depend(const Next& a, const Next& b) {
  if (a.access == Access::kFenceAll || b.access == Access::kFenceAll) return true;
  if (is_like_fence(a.access) && is_like_fence(b.access)) return true;
  if (a.access == Access::kStep || b.access == Access::kStep) return a.access == b.access;
  if (a.word != b.word || a.word == kNoWord) return false;
  return a.access != Access::kLoad || b.access != Access::kLoad;
}

struct Choice {
  bool of_thread;
  uint8_t chosen;
  uint8_t count;    // of possibilities, when not of a thread
  uint8_t enabled;  // threads, a bit each
  uint8_t asleep;   // those whose next access has been tried in this place
};

class Explorer {
 public:
  Outcome explore(const Program& program, const Limits& limits) {
    program_ = &program;
    limits_ = limits;
    outcome_ = {};
    choices_.clear();
    do {
      if (outcome_.runs + outcome_.pruned >= limits.most_runs) {
        outcome_.is_complete = false;
        return outcome_;
      }
      run();
      if (!outcome_.failure.empty()) {
        is_tracing_ = true;
        run();  // the same once more
        is_tracing_ = false;
        return outcome_;
      }
    } while (next_choices());
    return outcome_;
  }

  uint32_t choose(uint32_t n) {
    if (n == 1) return 0;
    if (at_ == choices_.size()) choices_.push_back({false, 0, static_cast<uint8_t>(n), 0, 0});
    return choices_[at_++].chosen;
  }

  // By a thread: waits for its turn to do this.
  void announce(Access access, uint32_t word) {
    next_[current_] = {access, word};
    fibers_[current_].leave();
  }

  void fail(const std::string& what) {
    if (outcome_.failure.empty()) outcome_.failure = what;
    has_failed_ = true;
    if (current_ == kNobody) return;
    fibers_[current_].leave();
    abort();
  }

  void wait_for_wake(uint32_t word) {
    waiting_ |= 1u << current_;
    announce(Access::kLoad, word);
  }
  void wake(uint32_t word, bool all) {
    uint32_t waiters[kMostThreads];
    uint32_t count = 0;
    for (uint32_t t = 0; t < program_->threads; ++t) {
      if (((waiting_ >> t) & 1) != 0 && next_[t].word == word) waiters[count++] = t;
    }
    if (count == 0) return;
    if (!all) {
      waiting_ &= ~(1u << waiters[choose(count)]);
      return;
    }
    for (uint32_t i = 0; i < count; ++i) waiting_ &= ~(1u << waiters[i]);
  }

  void trace(const char* what, uint32_t word, uint64_t value) {
    if (!is_tracing_) return;
    char line[160];
    const char* const name = word == kNoWord ? "" : memory.word(word).name;
    if (word == kNoWord) {
      snprintf(line, sizeof line, "  thread %u: %s\n", current_, what);
    } else if (name != nullptr) {
      snprintf(line, sizeof line, "  thread %u: %s %s = %llu\n", current_, what, name,
               static_cast<unsigned long long>(value));
    } else {
      snprintf(line, sizeof line, "  thread %u: %s word %u = %llu\n", current_, what, word,
               static_cast<unsigned long long>(value));
    }
    if (outcome_.trace.size() < kMostTraceBytes) outcome_.trace += line;
  }

  uint32_t current() const { return current_; }
  Memory memory;

 private:
  void run() {
    const uint32_t threads = program_->threads;
    memory.reset(threads);
    waiting_ = 0;
    at_ = 0;
    has_failed_ = false;
    current_ = kNobody;
    const std::unique_ptr<Model> model(program_->make());
    for (uint32_t t = 0; t < threads; ++t) {
      Model* const body = model.get();
      fibers_[t].begin([body, t] { body->thread(t); });
      enter(t);  // to its first access
    }
    uint8_t asleep = 0;
    uint32_t last = 0;
    for (uint32_t steps = 0; !has_failed_; ++steps) {
      const uint8_t enabled = enabled_threads();
      if (enabled == 0) {
        end_run(*model);
        return;
      }
      if (steps == limits_.most_steps) return fail("the run does not end");
      if (at_ == choices_.size()) {
        const auto awake = static_cast<uint8_t>(enabled & ~asleep);
        if (awake == 0) {
          ++outcome_.pruned;
          return;
        }
        const uint32_t t =
            ((awake >> last) & 1) != 0 ? last : static_cast<uint32_t>(std::countr_zero(awake));
        choices_.push_back({true, static_cast<uint8_t>(t), 0, enabled, asleep});
      }
      const Choice& choice = choices_[at_++];
      last = choice.chosen;
      asleep = still_asleep(choice.asleep, next_[last]);
      enter(last);
      ++outcome_.steps;
      if (memory.race() != nullptr) fail(memory.race());
    }
  }

  void enter(uint32_t t) {
    current_ = t;
    fibers_[t].enter();
    current_ = kNobody;
  }

  void end_run(Model& model) {
    for (uint32_t t = 0; t < program_->threads; ++t) {
      if (!fibers_[t].is_done()) return fail("all threads wait");
    }
    model.finish();
    ++outcome_.runs;
  }

  uint8_t enabled_threads() {
    uint8_t enabled = 0;
    for (uint32_t t = 0; t < program_->threads; ++t) {
      if (fibers_[t].is_done() || ((waiting_ >> t) & 1) != 0) continue;
      if (next_[t].access == Access::kLock && memory.latest(next_[t].word) != 0) continue;
      enabled |= static_cast<uint8_t>(1u << t);
    }
    return enabled;
  }

  uint8_t still_asleep(uint8_t asleep, const Next& done) const {
    for (uint32_t t = 0; t < program_->threads; ++t) {
      if (depend(next_[t], done)) asleep &= static_cast<uint8_t>(~(1u << t));
    }
    return asleep;
  }

  bool next_choices() {
    for (; !choices_.empty(); choices_.pop_back()) {
      Choice& choice = choices_.back();
      if (!choice.of_thread) {
        if (++choice.chosen < choice.count) return true;
        continue;
      }
      choice.asleep |= static_cast<uint8_t>(1u << choice.chosen);
      const auto awake = static_cast<uint8_t>(choice.enabled & ~choice.asleep);
      if (awake == 0) continue;
      choice.chosen = static_cast<uint8_t>(std::countr_zero(awake));
      return true;
    }
    return false;
  }

  const Program* program_ = nullptr;
  Limits limits_;
  Outcome outcome_;
  std::vector<Choice> choices_;
  size_t at_ = 0;
  std::array<Fiber, kMostThreads> fibers_;
  std::array<Next, kMostThreads> next_;
  uint32_t waiting_ = 0;
  uint32_t current_ = kNobody;
  bool has_failed_ = false;
  bool is_tracing_ = false;
};

Explorer g_explorer;
std::string g_mutation;
std::map<std::string, Order> g_sites;

Memory& memory() { return g_explorer.memory; }
const auto kChoose = [](auto n) { return g_explorer.choose(static_cast<uint32_t>(n)); };
const auto kLatest = [](auto) { return 0u; };
bool is_outside() { return g_explorer.current() == kNobody; }

}  // namespace

Outcome explore(const Program& program, const Limits& limits) {
  return g_explorer.explore(program, limits);
}

void require(bool condition, const char* what) {
  if (!condition) g_explorer.fail(what);
}
void name_word(uint32_t word, const char* name) { memory().word(word).name = name; }
uint32_t choose(uint32_t n) { return g_explorer.choose(n); }
uint32_t thread_index() { return g_explorer.current(); }

void step(const char* what) {
  if (is_outside()) return;
  g_explorer.announce(Access::kStep, kNoWord);
  g_explorer.trace(what, kNoWord, 0);
}

void set_mutation(const std::string& name) { g_mutation = name; }
bool mutated(const char* name) { return g_mutation == name; }

Order order_at(const char* site, Order order) {
  g_sites.emplace(site, order);
  return g_mutation == site ? Order::relaxed : order;
}
const std::map<std::string, Order>& sites() { return g_sites; }

uint32_t new_word(uint64_t value) { return memory().add_word(value); }

uint64_t load(uint32_t word, Order order, bool plain) {
  if (is_outside()) return memory().latest(word);
  g_explorer.announce(Access::kLoad, word);
  const uint64_t value = memory().load(g_explorer.current(), word, order, plain, kChoose);
  g_explorer.trace("loads", word, value);
  return value;
}

void store(uint32_t word, uint64_t value, Order order, bool plain) {
  if (is_outside()) return memory().put(word, value);
  g_explorer.announce(Access::kStore, word);
  memory().store(g_explorer.current(), word, value, order, plain, kChoose);
  g_explorer.trace("stores", word, value);
}

uint64_t update(uint32_t word, Order order, Order failure,
                const std::function<bool(uint64_t, uint64_t&)>& change) {
  if (is_outside()) {
    const uint64_t old = memory().latest(word);
    uint64_t value = 0;
    if (change(old, value)) memory().put(word, value);
    return old;
  }
  g_explorer.announce(Access::kUpdate, word);
  const uint64_t old = memory().update(g_explorer.current(), word, order, failure, change, kChoose);
  uint64_t value = old;
  change(old, value);
  g_explorer.trace("updates", word, value);
  return old;
}

void fence(Order order) {
  if (is_outside()) return;
  g_explorer.announce(Access::kFence, kNoWord);
  memory().fence(g_explorer.current(), order);
  g_explorer.trace("fence", kNoWord, 0);
}

void fence_all() {
  g_explorer.announce(Access::kFenceAll, kNoWord);
  memory().fence_all();
  g_explorer.trace("fence in all threads", kNoWord, 0);
}

// The kernel compares and goes to sleep in one step, and has fences of its own.
void futex_wait(uint32_t word, uint64_t expected) {
  g_explorer.announce(Access::kWait, word);
  memory().fence(g_explorer.current(), Order::seq_cst);
  const uint64_t value = memory().load_latest(g_explorer.current(), word);
  g_explorer.trace(value == expected ? "sleeps on" : "does not sleep on", word, value);
  if (value == expected) g_explorer.wait_for_wake(word);
}

void futex_wake(uint32_t word, bool all) {
  if (is_outside()) return;
  g_explorer.announce(Access::kWake, word);
  memory().fence(g_explorer.current(), Order::seq_cst);
  g_explorer.trace("wakes those on", word, memory().latest(word));
  g_explorer.wake(word, all);
}

void lock(uint32_t word) {
  if (is_outside()) return;
  g_explorer.announce(Access::kLock, word);
  memory().update(
      g_explorer.current(), word, Order::acquire, Order::acquire,
      [](uint64_t old, uint64_t& value) { return value = 1, old == 0; }, kLatest);
  g_explorer.trace("locks", word, 1);
}

void unlock(uint32_t word) {
  if (is_outside()) return;
  g_explorer.announce(Access::kStore, word);
  memory().update(
      g_explorer.current(), word, Order::release, Order::relaxed,
      [](uint64_t, uint64_t& value) { return value = 0, true; }, kChoose);
  g_explorer.trace("unlocks", word, 0);
}

}  // namespace checker
