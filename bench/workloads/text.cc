// Texts written piece by piece: realloc by a few bytes at a time, several texts in turn.
//
// What a program does that joins strings, reads lines or builds a reply without growing its buffer
// ahead. Most calls fit where the block is; how often it has to move, and how much memory the sizes
// that it has left behind keep, is the allocator's. One operation is one realloc.
#include "harness.h"

namespace bench = tide::bench;

namespace {

struct Text {
  char* bytes = nullptr;
  size_t length = 0;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "text --step 64 --times 500",
                         "Texts that grow by realloc, some bytes at a time.");
  const uint64_t step = options.number("step", "64", "most bytes written at once");
  const size_t longest = options.number("length", "64K", "length at which a text is freed");
  const uint64_t count = options.number("texts", "8", "texts written in turn");
  const uint64_t times = options.number("times", "500", "how often that many texts are written");
  const uint64_t seed = options.seed();
  options.finish();
  if (step == 0 || step > UINT32_MAX || count == 0) {
    bench::fail("--step and --texts at least 1", 2);
  }

  std::vector<Text> texts(count);
  bench::Rng rng(seed);
  uint64_t operations = 0;
  bench::Meter meter("text");
  meter.start();
  for (uint64_t time = 0; time < times; ++time) {
    for (size_t full = 0; full < texts.size();) {
      full = 0;
      for (Text& text : texts) {
        if (text.length >= longest) {
          ++full;
          continue;
        }
        const size_t more = 1 + rng.below(static_cast<uint32_t>(step));
        void* const grown = bench::must(std::realloc(text.bytes, text.length + more));
        text.bytes = static_cast<char*>(grown);
        std::memset(text.bytes + text.length, 'x', more);
        text.length += more;
        ++operations;
      }
    }
    for (Text& text : texts) {
      std::free(text.bytes);
      text = Text{};
    }
  }
  meter.stop();
  meter.report(operations);
  return 0;
}
