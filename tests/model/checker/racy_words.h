// What instrument.py puts in place of base/racy.h.
#pragma once

#include "tests/model/checker/words.h"

namespace checker {

template <class T>
T racy_load(const Racy<T>& word) {
  return word.load(Order::relaxed);
}
template <class T, class U>
void racy_store(Racy<T>& word, U value) {
  word.store(static_cast<T>(value), Order::relaxed);
}
template <class T>
T stale_load(const Racy<T>& word) {
  return word.load(Order::relaxed);
}
template <class T, class U>
void stale_store(Racy<T>& word, U value) {
  word.store(static_cast<T>(value), Order::relaxed);
}
template <class T>
T racy_load(const Plain<T>& word) {
  return word.racy_load();
}
template <class T, class U>
void racy_store(Plain<T>& word, U value) {
  word.racy_store(static_cast<T>(value));
}
// What a lock of the model protects, or stays as it is, is no word.
template <class T>
T racy_load(const T& object) {
  return object;
}
template <class T>
T stale_load(const T& object) {
  return object;
}
template <class T, class U>
void racy_store(T& object, U value) {
  object = static_cast<T>(value);
}
template <class T>
T published_load(Order, const T& object) {
  return object;
}
template <class T, class U>
void published_store(Order, T& object, U value) {
  object = static_cast<T>(value);
}
template <class T>
T published_load(Order order, const Racy<T>& word) {
  return word.load(order);
}
template <class T, class U>
void published_store(Order order, Racy<T>& word, U value) {
  word.store(static_cast<T>(value), order);
}

}  // namespace checker
