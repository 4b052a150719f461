#include "tests/model/checker/memory.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace checker {

namespace {

bool acquires(Order order) {
  return order == Order::acquire || order == Order::acq_rel || order == Order::seq_cst;
}
bool releases(Order order) {
  return order == Order::release || order == Order::acq_rel || order == Order::seq_cst;
}

}  // namespace

void View::join(const View& other) {
  join_seen(other);
  for (uint32_t t = 0; t < kMostThreads; ++t) clock[t] = std::max(clock[t], other.clock[t]);
}
void View::join_seen(const View& other) {
  for (uint32_t w = 0; w < kMostWords; ++w) seen[w] = std::max(seen[w], other.seen[w]);
}

void Memory::reset(uint32_t threads) {
  count_ = 0;
  thread_count_ = threads;
  threads_ = {};
  fences_ = {};
  race_ = nullptr;
}

uint32_t Memory::add_word(uint64_t value) {
  if (count_ == kMostWords) {
    fprintf(stderr, "checker: more than %u words\n", kMostWords);
    abort();
  }
  if (count_ == words_.size()) words_.emplace_back();
  Word& word = words_[count_];
  word.name = nullptr;
  word.history.clear();
  word.history.push_back({value, {}, 0, 0, false, false});
  word.read = {};
  word.plain_read = {};
  return count_++;
}

void Memory::put(uint32_t w, uint64_t value) { words_[w].history.back().value = value; }

void Memory::note_read(uint32_t t, uint32_t w, bool plain) {
  View& now = threads_[t].now;
  const uint8_t clock = ++now.clock[t];
  Word& word = words_[w];
  (plain ? word.plain_read : word.read)[t] = clock;
  for (const Store& store : word.history) {
    if ((plain || store.is_plain) && store.clock > now.clock[store.thread]) {
      race_ = "a read races with a write";
    }
  }
}

void Memory::note_write(uint32_t t, uint32_t w, bool plain) {
  View& now = threads_[t].now;
  ++now.clock[t];
  const Word& word = words_[w];
  for (const Store& store : word.history) {
    if ((plain || store.is_plain) && store.clock > now.clock[store.thread]) {
      race_ = "two writes race";
    }
  }
  for (uint32_t other = 0; other < thread_count_; ++other) {
    if (other == t) continue;
    const bool unordered =
        word.plain_read[other] > now.clock[other] || (plain && word.read[other] > now.clock[other]);
    if (unordered) race_ = "a write races with a read";
  }
}

uint64_t Memory::read_from(uint32_t t, uint32_t w, uint32_t at, Order order) {
  Knowledge& thread = threads_[t];
  const Store& store = words_[w].history[at];
  const auto seen = static_cast<uint8_t>(at);
  thread.now.seen[w] = std::max(thread.now.seen[w], seen);
  thread.acquired.join(thread.now);
  thread.acquired.join(store.view);
  if (acquires(order)) thread.now.join(store.view);
  return store.value;
}

uint64_t Memory::load_latest(uint32_t t, uint32_t w) {
  note_read(t, w, false);
  return read_from(t, w, static_cast<uint32_t>(words_[w].history.size()) - 1, Order::relaxed);
}

// Histories move up for a store in the middle, and all that was known of them with it.
void Memory::make_room(uint32_t w, uint32_t at) {
  const auto shift = [&](View& view) {
    if (view.seen[w] >= at) ++view.seen[w];
  };
  for (Knowledge& thread : threads_) {
    shift(thread.now);
    shift(thread.acquired);
    shift(thread.released);
  }
  shift(fences_);
  for (uint32_t i = 0; i < count_; ++i) {
    for (Store& store : words_[i].history) shift(store.view);
  }
}

void Memory::insert(uint32_t t, uint32_t w, uint32_t at, uint64_t value, Order order, bool plain,
                    const View* continued) {
  Word& word = words_[w];
  if (word.history.size() == UINT8_MAX) abort();
  Store store{value, {}, static_cast<uint8_t>(t), threads_[t].now.clock[t], plain, false};
  if (continued != nullptr) store.view = *continued;
  if (at != word.history.size()) {
    make_room(w, at);
    if (store.view.seen[w] >= at) ++store.view.seen[w];
  }
  Knowledge& thread = threads_[t];
  thread.now.seen[w] = static_cast<uint8_t>(at);
  thread.acquired.join(thread.now);
  store.view.join(releases(order) ? thread.now : thread.released);
  store.view.seen[w] = static_cast<uint8_t>(at);
  word.history.insert(word.history.begin() + at, store);
}

void Memory::fence(uint32_t t, Order order) {
  Knowledge& thread = threads_[t];
  if (acquires(order)) thread.now.join(thread.acquired);
  if (order == Order::seq_cst) {
    thread.now.join_seen(fences_);
    fences_.join_seen(thread.now);
    thread.acquired.join(thread.now);
  }
  if (releases(order)) thread.released = thread.now;
}

// membarrier(2): as if every thread had a seq_cst fence just where it is.
void Memory::fence_all() {
  for (uint32_t round = 0; round < 2; ++round) {
    for (uint32_t t = 0; t < thread_count_; ++t) fence(t, Order::seq_cst);
  }
}

}  // namespace checker
