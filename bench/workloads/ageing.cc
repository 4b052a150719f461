// A heap that grows old: the sizes that the program asks for drift while it runs, and some blocks
// of every age stay.
//
// The live bytes stay near --live; the middle of the size range walks from small to large and back
// once per --period operations. One operation is one block replaced. Own figures: live_kib and
// live_rss_kib, both at the end with the live set still held; their ratio is the fragmentation.
#include "harness.h"

namespace bench = tide::bench;

namespace {

constexpr uint32_t kMixes = 16;  // steps of the drift: enough that neighbours overlap

struct Slot {
  void* block;
  uint32_t bytes;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "ageing --live 96M --operations 12M",
                         "An ageing heap with a size mix that drifts.");
  const size_t live_target = options.number("live", "96M", "live bytes to hold");
  const uint64_t operations = options.number("operations", "12M", "blocks replaced");
  const uint64_t period =
      options.number("period", "4M", "operations of one walk from small to large and back");
  const uint64_t seed = options.seed();
  options.finish();
  if (live_target < (1u << 20) || period < 2 * kMixes)
    bench::fail("--live at least 1M, --period at least 32", 2);

  // Mix m draws from a window of four doublings that starts at 16 bytes and ends at 32 KiB.
  std::vector<bench::SizeTable> mixes;
  for (uint32_t m = 0; m < kMixes; ++m) {
    const double low = 16.0 * std::pow(2.0, 7.0 * m / (kMixes - 1));
    mixes.emplace_back(static_cast<size_t>(low), static_cast<size_t>(low * 16), true, seed + m);
  }
  bench::Rng rng(seed);
  const size_t slot_limit = live_target / 24;  // reached while blocks are at their smallest
  std::vector<Slot> slots;
  slots.reserve(slot_limit);
  uint64_t live_bytes = 0;

  const auto allocate = [&](uint64_t step) {
    const uint64_t at = step % period;
    const uint64_t half = period / 2;
    const uint64_t height = at < half ? at : period - 1 - at;
    const size_t bytes = mixes[height * kMixes / (half + 1)].pick(rng.next() >> 52);
    void* const block = bench::must(std::malloc(bytes));
    bench::touch_block(block, bytes, bench::Touch::kPages);
    live_bytes += bytes;
    return Slot{block, static_cast<uint32_t>(bytes)};
  };
  const auto release = [&](const Slot& slot) {
    live_bytes -= slot.bytes;
    std::free(slot.block);
  };

  bench::Meter meter("ageing");
  meter.start();
  for (uint64_t step = 0; step < operations; ++step) {
    // Young blocks die most: three of four victims come from the newest sixteenth.
    while (!slots.empty() && (live_bytes >= live_target || slots.size() == slot_limit)) {
      const auto count = static_cast<uint32_t>(slots.size());
      const uint32_t young = count / 16 + 1;
      const uint32_t at = rng.below(4) != 0 ? count - 1 - rng.below(young) : rng.below(count);
      release(slots[at]);
      slots[at] = slots.back();
      slots.pop_back();
    }
    slots.push_back(allocate(step));
  }
  meter.stop();
  meter.add("live_kib", static_cast<double>(live_bytes) / 1024);
  meter.add("live_rss_kib", static_cast<double>(bench::rss_kib()));
  for (const Slot& slot : slots) std::free(slot.block);
  meter.report(operations);
  return 0;
}
