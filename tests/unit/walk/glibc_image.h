// Made-up memory of a program on glibc's malloc, byte by byte as that lays it out.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "walk/glibc_layout.h"
#include "walk/target.h"

namespace tide::walk {

class GlibcImage : public Target {
 public:
  static constexpr uint64_t kHeap = 0x555500000000;
  static constexpr uint64_t kHeapBytes = 0x21000;
  static constexpr uint64_t kMapped = 0x7e8000000000;
  static constexpr uint64_t kMappedBytes = 0x200000;
  static constexpr uint64_t kLibc = 0x7f0000000000;
  static constexpr uint64_t kArena = kLibc + 0x120;
  static constexpr uint64_t kThread = 0x7f1000000000;
  static constexpr int kThreadId = 4711;

  GlibcImage() {
    add_segment(kHeap, kHeapBytes, "[heap]");
    add_segment(kMapped, kMappedBytes, "");
    add_segment(kLibc, 0x2000, "/lib/libc.so.6");
    add_segment(kThread, 0x1000, "");
    threads_.resize(1);
    threads_[0].id = kThreadId;
    threads_[0].thread_pointer = kThread + 0x800;
  }

  // The main arena as malloc makes it at its first call, and the first thread's cache, which is the
  // first chunk.
  void start() {
    for (size_t bin = 1; bin < glibc::ArenaState::kBins; ++bin) {
      const uint64_t self = glibc::bin_address(kArena, bin);
      put(self + glibc::kForward, self);
      put(self + glibc::kBack, self);
    }
    put(kArena + offsetof(glibc::ArenaState, next), kArena);
    put(kArena + offsetof(glibc::ArenaState, system_bytes), kHeapBytes);
    put(kArena + offsetof(glibc::ArenaState, most_system_bytes), kHeapBytes);
    put(kThread + 0x7c0, kArena);
    cache_ = add(glibc::kThreadCacheChunk);
    put(kThread + 0x7c8, cache_);
  }

  // The next chunk of the break; its block.
  uint64_t add(uint64_t bytes) {
    const uint64_t chunk = next_;
    put(chunk + 8, bytes | glibc::kPrevInUse);
    next_ += bytes;
    put_top();
    return chunk + glibc::kChunkHead;
  }

  // `block` becomes the thread cache's first of its size.
  void cache(uint64_t block, bool is_mangled = true) {
    const size_t bin = bin_of(block);
    const uint64_t entry = cache_ + offsetof(glibc::ThreadCache, entries) + bin * 8;
    link(block, get<uint64_t>(entry), is_mangled);
    put(entry, block);
    put<uint16_t>(cache_ + bin * 2, static_cast<uint16_t>(get<uint16_t>(cache_ + bin * 2) + 1));
  }

  // The same for the fast bin.
  void put_in_fast_bin(uint64_t block, bool is_mangled = true) {
    const uint64_t list = kArena + offsetof(glibc::ArenaState, fast_bins) + bin_of(block) * 8;
    link(block, get<uint64_t>(list), is_mangled);
    put(list, block - glibc::kChunkHead);
  }

  // The only one in the unsorted bin.
  void put_in_bin(uint64_t block) {
    const uint64_t self = glibc::bin_address(kArena, 1);
    const uint64_t chunk = block - glibc::kChunkHead;
    const uint64_t bytes = glibc::size_of(get<uint64_t>(chunk + 8));
    put(self + glibc::kForward, chunk);
    put(self + glibc::kBack, chunk);
    put(chunk + glibc::kForward, self);
    put(chunk + glibc::kBack, self);
    put(chunk + bytes, bytes);
    put(chunk + bytes + 8, get<uint64_t>(chunk + bytes + 8) & ~glibc::kPrevInUse);
  }

  template <class T>
  void put(uint64_t address, T value) {
    std::memcpy(place(address), &value, sizeof value);
  }
  template <class T>
  T get(uint64_t address) const {
    T value;
    std::memcpy(&value, const_cast<GlibcImage*>(this)->place(address), sizeof value);
    return value;
  }
  uint64_t top() const { return next_; }

  void add_segment(uint64_t start, uint64_t bytes, const std::string& file) {
    Segment segment;
    segment.start = start;
    segment.end = start + bytes;
    segment.is_readable = segment.is_writable = true;
    segment.file = file;
    segment.present = bytes;
    const auto after = std::find_if(segments_.begin(), segments_.end(),
                                    [&](const Segment& s) { return s.start > start; });
    segments_.insert(after, segment);
    bytes_[start].resize(bytes);
  }
  // From `at` on the segment is not in the core: that was cut off.
  void lose(uint64_t at) {
    Segment& segment = segments_[static_cast<size_t>(segment_of(at) - segments_.data())];
    cut_bytes_ += segment.end - at;
    segment.present = at - segment.start;
    bytes_.at(segment.start).resize(segment.present);
  }
  void forget_threads() { threads_[0].thread_pointer = 0; }

  std::string name() const override { return "an image"; }
  bool is_core() const override { return true; }
  const std::vector<Segment>& segments() const override { return segments_; }
  const std::vector<Thread>& threads() const override { return threads_; }
  std::string program() const override { return {}; }
  uint64_t cut_bytes() const override { return cut_bytes_; }
  std::span<const std::byte> view(uint64_t address, size_t bytes, Buffer&) const override {
    const Segment* const segment = segment_of(address);
    if (segment == nullptr) return {};
    const std::vector<std::byte>& all = bytes_.at(segment->start);
    if (address - segment->start >= all.size()) return {};
    const std::span<const std::byte> rest = std::span(all).subspan(address - segment->start);
    return rest.first(std::min(bytes, rest.size()));
  }

 private:
  std::byte* place(uint64_t address) {
    const Segment* const segment = segment_of(address);
    return bytes_.at(segment->start).data() + (address - segment->start);
  }
  size_t bin_of(uint64_t block) const {
    return (glibc::size_of(get<uint64_t>(block - 8)) - glibc::kLeastChunk) / glibc::kAlignment;
  }
  void link(uint64_t block, uint64_t next, bool is_mangled) {
    put(block, is_mangled ? next ^ (block >> 12) : next);
  }
  void put_top() {
    put(kArena + offsetof(glibc::ArenaState, top), next_);
    put(next_ + 8, (kHeap + kHeapBytes - next_) | glibc::kPrevInUse);
  }

  std::vector<Segment> segments_;
  std::map<uint64_t, std::vector<std::byte>> bytes_;
  std::vector<Thread> threads_;
  uint64_t next_ = kHeap;
  uint64_t cache_ = 0;
  uint64_t cut_bytes_ = 0;
};

}  // namespace tide::walk
