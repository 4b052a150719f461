// Memory as C++ allows it to look: every word keeps all values ever stored in it, in modification
// order, and a load may return any that coherence and happens-before leave.
//
// Views as in the promise-free fragment of RC11: a thread knows of each word which store it must
// see at least; releases hand a view on, acquires join it. A store may come anywhere in
// modification order above what the thread has seen. What is not explored: loads that take their
// value from a store that comes later in program order of another thread's cycle ("load buffering",
// out of thin air). A seq_cst access counts as acquire or release only, which allows more than C++;
// seq_cst fences are exact.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

namespace checker {

inline constexpr uint32_t kMostThreads = 4;
inline constexpr uint32_t kMostWords = 48;

struct View {
  std::array<uint8_t, kMostWords> seen{};  // index in the word's history
  std::array<uint8_t, kMostThreads> clock{};
  void join(const View& other);
  void join_seen(const View& other);
};

struct Store {
  uint64_t value;
  View view;  // what an acquiring reader learns
  uint8_t thread;
  uint8_t clock;  // 0: before any thread ran
  bool is_plain;
  bool is_taken;  // a read-modify-write follows at once
};

struct Word {
  const char* name = nullptr;
  std::vector<Store> history;  // in modification order
  std::array<uint8_t, kMostThreads> read{};
  std::array<uint8_t, kMostThreads> plain_read{};
};

struct Knowledge {
  View now, acquired, released;
};

using Order = std::memory_order;

class Memory {
 public:
  void reset(uint32_t threads);
  uint32_t add_word(uint64_t value);
  Word& word(uint32_t w) { return words_[w]; }
  uint64_t latest(uint32_t w) const { return words_[w].history.back().value; }

  // What thread `t` may do; `choose(n)` picks one of n possibilities. Plain accesses that race end
  // the execution by racing().
  template <class Choose>
  uint64_t load(uint32_t t, uint32_t w, Order order, bool plain, Choose choose) {
    note_read(t, w, plain);
    Word& word = words_[w];
    const uint32_t first = threads_[t].now.seen[w];
    const auto count = static_cast<uint32_t>(word.history.size()) - first;
    const uint32_t at = plain || count == 1 ? count - 1 : count - 1 - choose(count);
    return read_from(t, w, first + at, order);
  }
  template <class Choose>
  void store(uint32_t t, uint32_t w, uint64_t value, Order order, bool plain, Choose choose) {
    note_write(t, w, plain);
    places_.clear();
    const Word& word = words_[w];
    for (uint32_t at = static_cast<uint32_t>(word.history.size()); at > threads_[t].now.seen[w];
         --at) {
      if (!word.history[at - 1].is_taken) places_.push_back(at);
    }
    const uint32_t n = plain ? 1 : static_cast<uint32_t>(places_.size());
    insert(t, w, places_[n == 1 ? 0 : choose(n)], value, order, plain, nullptr);
  }
  // Reads, and if change(old, new_value) is true stores right behind what was read.
  template <class Change, class Choose>
  uint64_t update(uint32_t t, uint32_t w, Order order, Order failure, Change change,
                  Choose choose) {
    note_read(t, w, false);
    // A change goes to a store that nothing follows yet; a failed one reads like any load.
    places_.clear();
    uint64_t value = 0;
    const Word& word = words_[w];
    for (auto at = static_cast<uint32_t>(word.history.size()); at-- > threads_[t].now.seen[w];) {
      const Store& store = word.history[at];
      if (!change(store.value, value) || !store.is_taken) places_.push_back(at);
    }
    const uint32_t at = places_[places_.size() == 1 ? 0 : choose(places_.size())];
    const uint64_t old = words_[w].history[at].value;
    if (!change(old, value)) return read_from(t, w, at, failure);
    note_write(t, w, false);
    const View before = words_[w].history[at].view;
    read_from(t, w, at, order);
    words_[w].history[at].is_taken = true;
    insert(t, w, at + 1, value, order, false, &before);
    return old;
  }
  // What the kernel sees; the thread that asked it sees nothing older later.
  uint64_t load_latest(uint32_t t, uint32_t w);
  void fence(uint32_t t, Order order);
  void fence_all();

  // Of two accesses that are not ordered, one of them a plain one; null: none so far.
  const char* race() const { return race_; }

  // Outside of threads, before they start and after they ended.
  void put(uint32_t w, uint64_t value);

 private:
  void note_read(uint32_t t, uint32_t w, bool plain);
  void note_write(uint32_t t, uint32_t w, bool plain);
  uint64_t read_from(uint32_t t, uint32_t w, uint32_t at, Order order);
  void insert(uint32_t t, uint32_t w, uint32_t at, uint64_t value, Order order, bool plain,
              const View* continued);
  void make_room(uint32_t w, uint32_t at);

  std::vector<Word> words_;
  uint32_t count_ = 0;
  std::array<Knowledge, kMostThreads> threads_{};
  uint32_t thread_count_ = 0;
  View fences_;  // what seq_cst fences hand on
  std::vector<uint32_t> places_;
  const char* race_ = nullptr;
};

}  // namespace checker
