// tide.hpp - the C++ interface of Tide: tide::allocator<T>, tide::heap, tide::memory_resource.
//
// Header only, over tide.h; needs C++17. Nothing of it is needed to run a program on Tide: operator
// new and the standard containers use the library as soon as it is linked or preloaded.
#pragma once

#include <cstddef>
#include <exception>
#include <limits>
#include <memory>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

#include "tide/tide.h"

namespace tide {

namespace detail {

[[noreturn]] inline void throw_bad_alloc() {
#if defined(__cpp_exceptions)
  throw std::bad_alloc();
#else
  std::terminate();
#endif
}

[[noreturn]] inline void throw_bad_length() {
#if defined(__cpp_exceptions)
  throw std::bad_array_new_length();
#else
  std::terminate();
#endif
}

// What tide_malloc aligns every block to.
inline constexpr std::size_t kDefaultAlignment = 16;

}  // namespace detail

// A first-class heap: owns it, destroys it and all its blocks at its end. Moves, does not copy.
//
//   tide::heap arena(64 << 20);             // at most 64 MiB
//   void* block = arena.allocate(100);      // free(block) is fine, and so is not to free it
class heap {
 public:
  // `limit` bytes for all blocks together; 0: no limit. Throws std::bad_alloc.
  explicit heap(std::size_t limit = 0) : handle_(tide_heap_create(limit)) {
    if (handle_ == nullptr) detail::throw_bad_alloc();
  }
  ~heap() { tide_heap_destroy(handle_); }

  heap(heap&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  heap& operator=(heap&& other) noexcept {
    heap(std::move(other)).swap(*this);
    return *this;
  }
  heap(const heap&) = delete;
  heap& operator=(const heap&) = delete;

  void swap(heap& other) noexcept { std::swap(handle_, other.handle_); }

  // `size` bytes at a multiple of `alignment`, a power of two. Throws std::bad_alloc when there is
  // no memory or the limit does not allow it; try_allocate gives null instead.
  void* allocate(std::size_t size, std::size_t alignment = detail::kDefaultAlignment) {
    void* const block = try_allocate(size, alignment);
    if (block == nullptr) detail::throw_bad_alloc();
    return block;
  }
  void* try_allocate(std::size_t size, std::size_t alignment = detail::kDefaultAlignment) noexcept {
    if (alignment <= detail::kDefaultAlignment) return tide_heap_malloc(handle_, size);
    return tide_heap_aligned_alloc(handle_, alignment, size);
  }
  // Any block of any heap, from any thread.
  static void deallocate(void* block) noexcept { tide_free(block); }

  std::size_t live_bytes() const noexcept { return tide_heap_get_stats(handle_).live_bytes; }
  std::size_t live_blocks() const noexcept { return tide_heap_get_stats(handle_).live_blocks; }
  // 0: no limit.
  std::size_t limit() const noexcept { return tide_heap_get_limit(handle_); }
  void set_limit(std::size_t limit) noexcept { tide_heap_set_limit(handle_, limit); }
  std::size_t soft_limit() const noexcept { return tide_heap_get_soft_limit(handle_); }
  void set_soft_limit(std::size_t limit) noexcept { tide_heap_set_soft_limit(handle_, limit); }

  // For the functions of tide.h; null after a move. The heap stays the owner.
  tide_heap_t* handle() const noexcept { return handle_; }

 private:
  tide_heap_t* handle_;
};

inline void swap(heap& a, heap& b) noexcept { a.swap(b); }

// Calls visit(const tide_block&) for every live block of the process until it returns false; then
// false. It must not allocate, free, or ask anything of the allocator: see tide_heap_walk.
template <class Visit>
bool walk_heap(Visit&& visit) {
  using Visitor = std::remove_reference_t<Visit>;
  const tide_block_visitor call = [](const tide_block* block, void* argument) {
    return (*static_cast<Visitor*>(argument))(*block) ? 1 : 0;
  };
  return tide_heap_walk(call, const_cast<std::remove_cv_t<Visitor>*>(std::addressof(visit))) != 0;
}

// What is at `address`, any value: see tide_describe.
inline tide_description describe(const void* address) noexcept {
  tide_description description{};
  tide_describe(address, &description);
  return description;
}

// The process's heap as an allocator for standard containers. Stateless: all are equal.
template <class T>
class allocator {
 public:
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using propagate_on_container_move_assignment = std::true_type;
  using is_always_equal = std::true_type;

  constexpr allocator() noexcept = default;
  template <class U>
  constexpr allocator(const allocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

  // Throws std::bad_array_new_length when the array can't exist, std::bad_alloc when there is no
  // memory. The new-handler is not called: that is operator new's.
  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T)) {
      detail::throw_bad_length();
    }
    void* const block = alignof(T) <= detail::kDefaultAlignment
                            ? tide_malloc(count * sizeof(T))
                            : tide_aligned_alloc(alignof(T), count * sizeof(T));
    if (block == nullptr) detail::throw_bad_alloc();
    return static_cast<T*>(block);
  }

  void deallocate(T* block, std::size_t count) noexcept {
    tide_free_sized(block, count * sizeof(T));
  }

  template <class U>
  friend constexpr bool operator==(const allocator&, const allocator<U>&) noexcept {
    return true;
  }
  template <class U>
  friend constexpr bool operator!=(const allocator&, const allocator<U>&) noexcept {
    return false;
  }
};

// A std::pmr::memory_resource: over the process's heap, or over a heap that outlives it.
class memory_resource : public std::pmr::memory_resource {
 public:
  memory_resource() noexcept = default;
  explicit memory_resource(heap& source) noexcept : heap_(source.handle()) {}

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    void* const block = heap_ != nullptr ? tide_heap_aligned_alloc(heap_, alignment, bytes)
                                         : tide_aligned_alloc(alignment, bytes);
    if (block == nullptr) detail::throw_bad_alloc();
    return block;
  }
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override {
    tide_free_aligned_sized(block, alignment, bytes);
  }
  // Over the same heap. (Any of them can free blocks of any other; but a container that takes over
  // another's blocks should get them from the same heap, or the limits are wrong.)
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    if (this == &other) return true;
#if defined(__cpp_rtti)
    const auto* const same_kind = dynamic_cast<const memory_resource*>(&other);
    return same_kind != nullptr && same_kind->heap_ == heap_;
#else
    return false;
#endif
  }

  tide_heap_t* heap_ = nullptr;
};

}  // namespace tide
