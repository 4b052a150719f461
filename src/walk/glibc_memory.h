// A target's memory for the jumps and the strides of a walk through glibc's heap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "walk/glibc_layout.h"
#include "walk/heap.h"
#include "walk/target.h"

namespace tide::walk::glibc {

// Not for several threads at once: what was read is kept for the next question nearby.
class Memory {
 public:
  explicit Memory(const Target& target);

  const Target& target() const { return target_; }

  // Readable memory that is no file's, neighbours as one: where chunks may lie.
  const std::vector<Range>& areas() const { return areas_; }
  const Range* area_of(uint64_t address) const;

  // visit(address) for each multiple of kHeapMost where something can be read: a hostile core's
  // segments may be as long as they like.
  template <class Visit>
  void for_each_heap_place(Visit visit) const {
    for (const Segment& segment : target_.segments()) {
      const uint64_t end = segment.start + std::min(segment.present, segment.size());
      uint64_t at = align_up(segment.start, kHeapMost);
      for (; at >= segment.start && at < end; at += kHeapMost) visit(at);
    }
  }

  // Whether chunks may lie at `address`, and the core lacks it.
  bool is_lost(uint64_t address) const {
    return target_.cut_bytes() != 0 && area_of(address) != nullptr && !word(address).has_value();
  }

  // The next page behind `address` that may be there, where `address` is not.
  uint64_t next_there(uint64_t address) const;

  bool read(uint64_t address, void* to, size_t bytes) const;
  template <class T>
  std::optional<T> load(uint64_t address) const {
    T value;
    if (!read(address, &value, sizeof value)) return std::nullopt;
    return value;
  }
  std::optional<uint64_t> word(uint64_t address) const { return load<uint64_t>(address); }

 private:
  static constexpr unsigned kWindowShift = 16;
  static constexpr size_t kWindows = 64;
  struct Window {
    uint64_t start = 0;
    std::span<const std::byte> bytes;
    Buffer buffer;
  };
  const Window* window_of(uint64_t address) const;

  const Target& target_;
  std::vector<Range> areas_;
  mutable std::vector<Window> windows_;
};

// Reads on and on in big pieces.
class Stride {
 public:
  explicit Stride(const Target& target) : target_(target) {}

  // Sixteen bytes at `address`, or null: they are not there. Good until the next call.
  const std::byte* at(uint64_t address) {
    const uint64_t offset = address - start_;
    if (offset < bytes_.size() && bytes_.size() - offset >= 16) return bytes_.data() + offset;
    return refill(address);
  }

 private:
  const std::byte* refill(uint64_t address);

  const Target& target_;
  uint64_t start_ = 0;
  std::span<const std::byte> bytes_;
  Buffer buffer_;
};

}  // namespace tide::walk::glibc
