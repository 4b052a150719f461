// A process's memory with other bytes laid over it here and there.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "fuzz/input.h"
#include "host/error.h"
#include "walk/heap.h"
#include "walk/live_target.h"

namespace fuzz {

namespace walk = tide::walk;

struct Patch {
  uint64_t address;
  std::byte value;
};

class PatchedTarget : public walk::Target {
 public:
  explicit PatchedTarget(const walk::LiveTarget& under) : under_(under) {}

  void add(uint64_t address, uint8_t value) {
    patches_.push_back({address, static_cast<std::byte>(value)});
  }

  std::string name() const override { return "a damaged heap"; }
  bool is_core() const override { return true; }
  const std::vector<walk::Segment>& segments() const override { return under_.segments(); }
  const std::vector<walk::Thread>& threads() const override { return under_.threads(); }
  std::string program() const override { return {}; }

  std::span<const std::byte> view(uint64_t address, size_t bytes,
                                  walk::Buffer& buffer) const override {
    const auto there = under_.view(address, bytes, buffer);
    if (there.empty()) return there;
    for (const Patch& patch : patches_) {
      if (patch.address - address < there.size()) buffer[patch.address - address] = patch.value;
    }
    return there;
  }

 private:
  const walk::LiveTarget& under_;
  std::vector<Patch> patches_;
};

// Lays the input's bytes over places in the regions that region(number) gives.
template <class Region>
void patch(PatchedTarget& target, Input& input, Region region) {
  while (!input.is_empty()) {
    const walk::Range range = region(input.byte());
    const uint64_t offset =
        input.byte() | uint64_t{input.byte()} << 8 | uint64_t{input.byte()} << 16;
    const uint64_t address = range.start + offset % (range.end - range.start);
    for (unsigned bytes = input.byte() % 8 + 1, i = 0; i < bytes; ++i) {
      target.add(address + i, input.byte());
    }
  }
}

// Lays the input's bytes over `world`, which has target() and region(number), and calls
// ask(target).
template <class World, class Ask>
void ask_damaged(const World& world, const uint8_t* data, size_t size, Ask ask) {
  Input input(data, size);
  PatchedTarget target(world.target());
  patch(target, input, [&](size_t number) { return world.region(number); });
  try {
    ask(target);
  } catch (const tide::host::Error&) {
    // One line for the user.
  }
}

}  // namespace fuzz
