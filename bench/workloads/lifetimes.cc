// Fragmentation after a long life: blocks of all ages, most of them short-lived, some that stay for
// a large part of the run, in a size mix that changes while they live.
//
// A block's lifetime is drawn when it is made, log-uniform from 1 operation to --oldest, so that
// each doubling of age is as common as the next; it is freed when its time has come. One operation
// is one block made. An hour of a server that makes some thousand blocks a second is the default.
#include <algorithm>
#include <cmath>

#include "harness.h"

namespace bench = tide::bench;

namespace {

// Blocks by the operation at which they end: a wheel of lists, as long as the longest life.
class Wheel {
 public:
  Wheel(size_t spokes, size_t blocks) : heads_(spokes, kNone), nodes_(blocks) {
    for (uint32_t i = 0; i < nodes_.size(); ++i) nodes_[i].next = i + 1;
    nodes_.back().next = kNone;
  }

  bool is_full() const { return unused_ == kNone; }

  void add(uint64_t end, void* block, uint32_t bytes) {
    const uint32_t index = unused_;
    unused_ = nodes_[index].next;
    uint32_t& head = heads_[end % heads_.size()];
    nodes_[index] = {block, bytes, head};
    head = index;
  }

  // Frees what ends at `now`; returns its bytes.
  uint64_t expire(uint64_t now) {
    uint64_t bytes = 0;
    uint32_t& head = heads_[now % heads_.size()];
    while (head != kNone) {
      Node& node = nodes_[head];
      std::free(node.block);
      bytes += node.bytes;
      const uint32_t next = node.next;
      node.next = unused_;
      unused_ = head;
      head = next;
    }
    return bytes;
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    void* block;
    uint32_t bytes;
    uint32_t next;
  };
  std::vector<uint32_t> heads_;
  std::vector<Node> nodes_;
  uint32_t unused_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "lifetimes --operations 20M",
                         "A heap with blocks of all ages and a changing size mix.");
  const uint64_t operations = options.number("operations", "20M", "blocks made");
  const size_t oldest = options.number("oldest", "4M", "longest life, in operations");
  const uint64_t phase = options.number("phase", "1M", "operations until the size mix changes");
  const size_t max_bytes = options.number("max", "32K", "largest block");
  const uint64_t seed = options.seed();
  options.finish();
  if (oldest < 2 || phase == 0 || max_bytes < 64) {
    bench::fail("--oldest at least 2, --phase at least 1, --max at least 64", 2);
  }

  // Each mix prefers another stretch of a doubling or three; all of them reach into the small
  // sizes.
  std::vector<bench::SizeTable> mixes;
  bench::Rng rng(seed);
  for (uint32_t m = 0; m < 8; ++m) {
    const double low = 16.0 * std::pow(static_cast<double>(max_bytes) / 128.0, m * 3 % 8 / 7.0);
    mixes.emplace_back(static_cast<size_t>(low), static_cast<size_t>(low * 8), true, seed + m);
  }
  std::vector<uint32_t> lives(4096);
  const double doublings = std::log2(static_cast<double>(oldest));
  for (uint32_t i = 0; i < lives.size(); ++i) {
    lives[i] = static_cast<uint32_t>(std::exp2(doublings * (i + rng.unit()) / lives.size()));
  }
  Wheel wheel(oldest, oldest / 2);
  uint64_t live_bytes = 0;
  uint64_t peak_bytes = 0;

  bench::Meter meter("lifetimes");
  meter.start();
  for (uint64_t now = 0; now < operations; ++now) {
    live_bytes -= wheel.expire(now);
    const uint64_t random = rng.next();
    // Three of four from this phase's mix, the others from all.
    const uint64_t mix = random % 4 != 0 ? now / phase : random >> 8;
    const size_t bytes = mixes[mix % mixes.size()].pick(random >> 52);
    if (wheel.is_full()) bench::fail("--oldest is too small for so many blocks");
    void* const block = bench::must(std::malloc(bytes));
    bench::touch_block(block, bytes, bench::Touch::kPages);
    wheel.add(now + lives[random >> 20 & 4095] % oldest, block, static_cast<uint32_t>(bytes));
    live_bytes += bytes;
    peak_bytes = std::max(peak_bytes, live_bytes);
  }
  meter.stop();
  meter.add("live_kib", static_cast<double>(live_bytes) / 1024);
  meter.add("peak_live_kib", static_cast<double>(peak_bytes) / 1024);
  meter.add("live_rss_kib", static_cast<double>(bench::rss_kib()));
  for (uint64_t now = operations; now < operations + oldest; ++now) wheel.expire(now);
  meter.report(operations);
  return 0;
}
