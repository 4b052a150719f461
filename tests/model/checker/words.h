// Words of memory for models, in the forms in which the code has them.
//
// Atomic     std::atomic
// AtomicRef  std::atomic_ref of a Racy
// Racy       a plain object that is read and written with relaxed atomics (base/racy.h), or plainly
//            where a race is meant: every access counts as a relaxed one
// Plain      a plain object: two accesses that are not ordered are a failure
// Mutex      a lock without insides, for models that are not about locks
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>

#include "tests/model/checker/explore.h"

namespace checker {

template <class T>
class Cell {
 public:
  constexpr Cell() = default;
  constexpr explicit Cell(T initial) : initial_(initial) {}
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  void name(const char* text) { name_word(id(), text); }
  uint32_t id() const {
    if (id_ == UINT32_MAX) id_ = new_word(pack(initial_));
    return id_;
  }

 protected:
  static_assert(sizeof(T) <= sizeof(uint64_t));
  static uint64_t pack(T value) {
    uint64_t packed = 0;
    memcpy(&packed, &value, sizeof value);
    return packed;
  }
  static T unpack(uint64_t packed) {
    T value;
    memcpy(&value, &packed, sizeof value);
    return value;
  }

  T load_cell(Order order, bool plain) const { return unpack(load(id(), order, plain)); }
  void store_cell(T value, Order order, bool plain) { store(id(), pack(value), order, plain); }
  template <class Change>
  T update_cell(Order order, Order failure, Change change) {
    return unpack(update(id(), order, failure, [&](uint64_t old, uint64_t& value) {
      T changed{};
      if (!change(unpack(old), changed)) return false;
      value = pack(changed);
      return true;
    }));
  }
  template <class Change>
  T always(Order order, Change change) {
    return update_cell(order, Order::relaxed, [&](T old, T& value) {
      value = change(old);
      return true;
    });
  }

 private:
  T initial_{};
  mutable uint32_t id_ = UINT32_MAX;
};

template <class T>
class Atomic : public Cell<T> {
 public:
  using Cell<T>::Cell;
  T load(Order order = Order::seq_cst) const { return this->load_cell(order, false); }
  void store(T value, Order order = Order::seq_cst) { this->store_cell(value, order, false); }
  T exchange(T value, Order order = Order::seq_cst) {
    return this->always(order, [&](T) { return value; });
  }
  T fetch_add(T by, Order order = Order::seq_cst) {
    return this->always(order, [&](T old) { return static_cast<T>(old + by); });
  }
  T fetch_xor(T bits, Order order = Order::seq_cst) {
    return this->always(order, [&](T old) { return static_cast<T>(old ^ bits); });
  }
  T fetch_and(T bits, Order order = Order::seq_cst) {
    return this->always(order, [&](T old) { return static_cast<T>(old & bits); });
  }
  bool compare_exchange_strong(T& expected, T desired, Order success = Order::seq_cst) {
    return compare_exchange_strong(expected, desired, success, failure_of(success));
  }
  bool compare_exchange_strong(T& expected, T desired, Order success, Order failure) {
    const T wanted = expected;
    expected = this->update_cell(success, failure, [&](T old, T& value) {
      value = desired;
      return old == wanted;
    });
    return expected == wanted;
  }
  // Fails for no reason never: that is a run like one with a failure for a reason.
  bool compare_exchange_weak(T& expected, T desired, Order success, Order failure) {
    return compare_exchange_strong(expected, desired, success, failure);
  }

 private:
  static Order failure_of(Order success) {
    return success == Order::release ? Order::relaxed : Order::acquire;
  }
};

template <class T>
class Racy : public Atomic<T> {
 public:
  using Atomic<T>::Atomic;
  Racy& operator=(T value) {
    this->store(value, Order::relaxed);
    return *this;
  }
  operator T() const { return this->load(Order::relaxed); }
};

template <class T>
class AtomicRef {
 public:
  explicit AtomicRef(Racy<T>& word) : word_(word) {}
  T load(Order order) const { return word_.load(order); }
  T exchange(T value, Order order) { return word_.exchange(value, order); }
  bool compare_exchange_strong(T& expected, T desired, Order order) {
    return word_.compare_exchange_strong(expected, desired, order);
  }

 private:
  Racy<T>& word_;
};

template <class T>
class Plain : public Cell<T> {
 public:
  using Cell<T>::Cell;
  Plain& operator=(T value) {
    this->store_cell(value, Order::relaxed, true);
    return *this;
  }
  operator T() const { return this->load_cell(Order::relaxed, true); }
  // For a word that is atomic in some places only.
  T racy_load() const { return this->load_cell(Order::relaxed, false); }
  void racy_store(T value) { this->store_cell(value, Order::relaxed, false); }
};

class Mutex : public Cell<uint32_t> {
 public:
  void lock() { checker::lock(id()); }
  void unlock() { checker::unlock(id()); }
};

}  // namespace checker
