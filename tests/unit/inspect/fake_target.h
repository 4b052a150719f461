// A process that a test makes up: ranges of bytes at any address, and a heap that is a list of
// blocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "walk/heap.h"
#include "walk/target.h"

namespace tide::inspect {

class FakeTarget : public walk::Target {
 public:
  // A range of zeros; by its flags "r", "rw", "rx". Ranges must not overlap.
  void add_range(uint64_t start, uint64_t bytes, std::string_view flags, std::string file = {},
                 uint64_t offset = 0) {
    walk::Segment segment;
    segment.start = start;
    segment.end = start + bytes;
    segment.is_readable = flags.find('r') != std::string_view::npos;
    segment.is_writable = flags.find('w') != std::string_view::npos;
    segment.is_executable = flags.find('x') != std::string_view::npos;
    segment.file = std::move(file);
    segment.offset = offset;
    segment.present = bytes;
    segments_.push_back(std::move(segment));
    std::sort(segments_.begin(), segments_.end(),
              [](const walk::Segment& a, const walk::Segment& b) { return a.start < b.start; });
    memory_[start].resize(bytes);
  }
  void add_thread(uint64_t stack_pointer) {
    threads_.emplace_back();
    threads_.back().stack_pointer = stack_pointer;
  }

  void write(uint64_t address, const void* bytes, size_t count) {
    auto range = std::prev(memory_.upper_bound(address));
    std::memcpy(range->second.data() + (address - range->first), bytes, count);
  }
  void write_word(uint64_t address, uint64_t word) { write(address, &word, sizeof word); }
  void write_words(uint64_t address, std::initializer_list<uint64_t> words) {
    write(address, std::data(words), words.size() * sizeof(uint64_t));
  }
  void write_text(uint64_t address, std::string_view text) {
    write(address, text.data(), text.size());
  }

  std::string name() const override { return "a test"; }
  bool is_core() const override { return true; }
  const std::vector<walk::Segment>& segments() const override { return segments_; }
  const std::vector<walk::Thread>& threads() const override { return threads_; }
  std::string program() const override { return {}; }

  std::span<const std::byte> view(uint64_t address, size_t bytes,
                                  walk::Buffer& /*buffer*/) const override {
    const auto after = memory_.upper_bound(address);
    if (after == memory_.begin()) return {};
    const auto& [start, content] = *std::prev(after);
    const uint64_t offset = address - start;
    if (offset >= content.size()) return {};
    return std::span(content).subspan(offset, std::min(bytes, content.size() - offset));
  }

 private:
  std::map<uint64_t, std::vector<std::byte>> memory_;
  std::vector<walk::Segment> segments_;
  std::vector<walk::Thread> threads_;
};

class FakeHeap : public walk::Heap {
 public:
  explicit FakeHeap(walk::Range range) : range_(range) {}

  walk::Block add(uint64_t address, uint64_t bytes) {
    blocks_[address] = {address, bytes, 0};
    return blocks_[address];
  }

  std::string allocator() const override { return "a list"; }
  walk::Unknown for_each_block(const Visit& visit) const override {
    std::vector<walk::Block> all;
    for (const auto& [address, block] : blocks_) all.push_back(block);
    visit(all);
    return {};
  }
  walk::HeapSummary summary() const override { return {}; }
  std::optional<walk::Place> find(uint64_t address) const override {
    if (!range_.contains(address)) return std::nullopt;
    walk::Place place;
    const auto after = blocks_.upper_bound(address);
    if (after == blocks_.begin()) return place;
    const walk::Block& block = std::prev(after)->second;
    if (address - block.address >= block.bytes) return place;
    place.state = walk::BlockState::kLive;
    place.address = block.address;
    place.bytes = block.bytes;
    return place;
  }
  std::vector<walk::Range> ranges() const override { return {range_}; }
  std::vector<walk::Range> records() const override { return {}; }
  std::vector<walk::HeapThread> threads() const override { return {}; }
  walk::Unknown for_each_span(const VisitSpan& /*visit*/) const override { return {}; }
  std::vector<walk::Problem> check(size_t /*most*/) const override { return {}; }

 private:
  walk::Range range_;
  std::map<uint64_t, walk::Block> blocks_;
};

// A heap, a program with code, constants and variables, and a stack, where tests put what they
// need.
struct FakeProgram {
  static constexpr uint64_t kCode = 0x400000;
  static constexpr uint64_t kConstants = 0x402000;
  static constexpr uint64_t kVariables = 0x404000;
  static constexpr uint64_t kHeap = 0x7000'0000'0000;
  static constexpr uint64_t kStack = 0x7ffd'0000'0000;
  static constexpr uint64_t kBytes = 0x1000;
  static constexpr uint64_t kHeapBytes = 0x100000;

  FakeProgram() {
    target.add_range(kCode, kBytes, "rx", "/no/such/program", 0);
    target.add_range(kConstants, kBytes, "r", "/no/such/program", 0x2000);
    target.add_range(kVariables, kBytes, "rw", "/no/such/program", 0x4000);
    target.add_range(kHeap, kHeapBytes, "rw");
    target.add_range(kStack, kBytes, "rw", "[stack]");
    auto own = std::make_unique<FakeHeap>(walk::Range{kHeap, kHeap + kHeapBytes});
    heap = own.get();
    heaps.push_back(std::move(own));
  }

  // A vtable of a class of that mangled name; what an object of it begins with.
  uint64_t add_class(std::string_view mangled) {
    const uint64_t place = kConstants + 0x100 * next_class_++;
    const uint64_t type = place + 0x40;
    const uint64_t name = place + 0x60;
    target.write_text(name, mangled);
    target.write_words(type, {kConstants + 0x10, name});
    target.write_words(place, {0, type, kCode + 0x10});
    return place + 16;
  }

  FakeTarget target;
  FakeHeap* heap = nullptr;
  std::vector<std::unique_ptr<walk::Heap>> heaps;

 private:
  uint64_t next_class_ = 1;
};

}  // namespace tide::inspect
