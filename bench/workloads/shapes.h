// Many shapes in one program: a table of them, the options that choose one, and what they share.
//
// Owns: Shape and Work, the common main function of shapes_*.cc, and the loop that most of the
// shapes have in common (replace_at_random). A shape is fixed work, not fixed time: the same seed
// and scale give the same calls with every allocator. Its own tables come from the allocator as
// well, as in any program. Used by: shapes_small.cc, shapes_threads.cc, shapes_large.cc. Not here:
// how often a shape runs (see benchlib/shapes.py).
#pragma once

#include <algorithm>
#include <thread>

#include "harness.h"

namespace tide::bench {

// How much of a shape is to be done, with which random choices.
class Work {
 public:
  Work(uint64_t percent, uint64_t seed) : percent_(percent), seed_(seed) {}

  // How often something is done that is done `full` times at 100 %; at least once.
  uint64_t times(uint64_t full) const { return std::max<uint64_t>(full * percent_ / 100, 1); }

  uint64_t seed() const { return seed_; }

  // Each stream, say each thread, has choices of its own.
  Rng rng(uint64_t stream = 0) const { return Rng(seed_ * 1024 + stream); }

  // Sizes of which each doubling is equally likely.
  SizeTable doublings(size_t min_bytes, size_t max_bytes) const {
    return SizeTable(min_bytes, max_bytes, true, seed_);
  }

  // Sizes of which each byte count is equally likely.
  SizeTable evenly(size_t min_bytes, size_t max_bytes) const {
    return SizeTable(min_bytes, max_bytes, false, seed_);
  }

 private:
  uint64_t percent_;
  uint64_t seed_;
};

struct Shape {
  const char* name;
  const char* about;
  uint64_t (*run)(const Work&);  // returns the operations done, the same ones for the same work
};

inline void* take(size_t bytes, Touch how = Touch::kEnds) {
  void* const block = must(std::malloc(bytes));
  touch_block(block, bytes, how);
  return block;
}

// In [low, high].
inline size_t between(Rng& rng, size_t low, size_t high) {
  return low + rng.below(static_cast<uint32_t>(high - low + 1));
}

inline void free_all(const std::vector<void*>& blocks) {
  for (void* const block : blocks) std::free(block);
}

inline void shuffle(std::vector<size_t>& order, Rng& rng) {
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[rng.below(static_cast<uint32_t>(i))]);
  }
}

// Slots whose blocks are replaced at random `count` times by ones of other sizes, then all freed.
inline uint64_t replace_at_random(Rng rng, uint32_t slots, const SizeTable& sizes, uint64_t count,
                                  Touch how = Touch::kEnds) {
  std::vector<void*> blocks(slots);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t random = rng.next();
    void*& block = blocks[((random & 0xffffffff) * slots) >> 32];
    std::free(block);
    block = take(sizes.pick(random >> 52), how);
  }
  free_all(blocks);
  return count;
}

// Runs body(i) in `count` threads and waits for all of them.
template <class Body>
void in_threads(uint32_t count, Body body) {
  std::vector<std::thread> threads;
  threads.reserve(count);
  for (uint32_t i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

// The main function of a program whose shapes these are.
template <size_t kCount>
int shapes_main(int argc, char** argv, const char* example, const Shape (&shapes)[kCount]) {
  Options options(argc, argv, example, "Runs one shape of work, a fixed amount of it.");
  const bool list = options.flag("list", "prints the names of all shapes and what they are");
  const std::string name = options.text("shape", "", "which one");
  const uint64_t percent = options.number("scale", "100", "percent of the work");
  const uint64_t seed = options.seed();
  options.finish();
  for (const Shape& shape : shapes) {
    if (list) {
      std::printf("%s\t%s\n", shape.name, shape.about);
    } else if (name == shape.name) {
      Meter meter(shape.name);
      meter.start();
      const uint64_t operations = shape.run(Work(percent, seed));
      meter.stop();
      meter.report(operations);
      return 0;
    }
  }
  if (!list) fail("--shape: '" + name + "' is no shape; --list shows them", 2);
  return 0;
}

}  // namespace tide::bench
