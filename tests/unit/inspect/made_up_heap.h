// A target and a heap made up by a test: segments with contents, and blocks in them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "inspect/block_index.h"
#include "walk/heap.h"
#include "walk/target.h"

namespace tide::tests {

class MadeUpTarget : public walk::Target {
 public:
  // Writable memory, all zeros.
  walk::Segment& add(uint64_t start, uint64_t bytes, std::string file = {}) {
    walk::Segment segment;
    segment.start = start;
    segment.end = start + bytes;
    segment.is_readable = segment.is_writable = true;
    segment.file = std::move(file);
    segment.present = bytes;
    segments_.push_back(segment);
    contents_.emplace_back(bytes);
    return segments_.back();
  }
  // Ascending, like all; no access.
  void add_guard(uint64_t start, uint64_t bytes) {
    walk::Segment& guard = add(start, bytes);
    guard.is_readable = guard.is_writable = false;
    guard.present = 0;
    contents_.back().clear();
  }
  void put(uint64_t address, uint64_t word) {
    for (size_t i = 0; i < segments_.size(); ++i) {
      if (!segments_[i].contains(address)) continue;
      std::memcpy(contents_[i].data() + (address - segments_[i].start), &word, sizeof word);
    }
  }
  // From there on the contents of the segment are not there.
  void cut(uint64_t address) {
    for (size_t i = 0; i < segments_.size(); ++i) {
      if (!segments_[i].contains(address)) continue;
      segments_[i].present = address - segments_[i].start;
      contents_[i].resize(segments_[i].present);
    }
  }
  // Nobody ever wrote there, and nobody is to look.
  void leave_untouched(walk::Range range) { untouched_ = range; }
  std::vector<walk::Thread>& change_threads() { return threads_; }
  // No view has more; views need not end at a word's end.
  void set_most_bytes(size_t most) { most_ = most; }

  std::string name() const override { return "made up"; }
  bool is_core() const override { return true; }
  const std::vector<walk::Segment>& segments() const override { return segments_; }
  const std::vector<walk::Thread>& threads() const override { return threads_; }
  std::string program() const override { return {}; }
  std::span<const std::byte> view(uint64_t address, size_t bytes,
                                  walk::Buffer& /*buffer*/) const override {
    EXPECT_FALSE(untouched_.contains(address)) << "looks at what was never touched";
    for (size_t i = 0; i < segments_.size(); ++i) {
      if (!segments_[i].contains(address)) continue;
      const uint64_t offset = address - segments_[i].start;
      if (offset >= contents_[i].size()) return {};
      return std::span(contents_[i])
          .subspan(offset, std::min({bytes, most_, size_t{contents_[i].size() - offset}}));
    }
    return {};
  }
  uint64_t next_touched(uint64_t address, uint64_t end) const override {
    return untouched_.contains(address) ? std::min(untouched_.end, end) : address;
  }

 private:
  walk::Range untouched_{};
  std::vector<walk::Segment> segments_;
  std::vector<std::vector<std::byte>> contents_;
  std::vector<walk::Thread> threads_;
  size_t most_ = SIZE_MAX;
};

class MadeUpHeap : public walk::Heap {
 public:
  MadeUpHeap(std::vector<walk::Range> ranges, std::vector<walk::Block> blocks,
             std::vector<walk::Range> records = {})
      : ranges_(std::move(ranges)), blocks_(std::move(blocks)), records_(std::move(records)) {}

  std::string allocator() const override { return "made up"; }
  walk::Unknown for_each_block(const Visit& visit) const override {
    visit(blocks_);
    return {};
  }
  walk::HeapSummary summary() const override { return {}; }
  std::optional<walk::Place> find(uint64_t /*address*/) const override { return std::nullopt; }
  std::vector<walk::Range> ranges() const override { return ranges_; }
  std::vector<walk::Range> records() const override { return records_; }
  std::vector<walk::HeapThread> threads() const override { return {}; }
  walk::Unknown for_each_span(const VisitSpan& /*visit*/) const override { return {}; }
  std::vector<walk::Problem> check(size_t /*most*/) const override { return {}; }

 private:
  std::vector<walk::Range> ranges_;
  std::vector<walk::Block> blocks_;
  std::vector<walk::Range> records_;
};

using Heaps = std::vector<std::unique_ptr<walk::Heap>>;

inline Heaps one_heap(std::vector<walk::Range> ranges, std::vector<walk::Block> blocks,
                      std::vector<walk::Range> records = {}) {
  Heaps heaps;
  heaps.push_back(
      std::make_unique<MadeUpHeap>(std::move(ranges), std::move(blocks), std::move(records)));
  return heaps;
}

}  // namespace tide::tests
