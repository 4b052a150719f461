// Shapes of blocks of 1 KiB to 256 MiB in one thread: slots replaced at random, batches, calloc,
// growth and shrinking by realloc, alignment, and programs that work on images, matrices or areas.
//
// How much of a block is written differs, since its pages may cost more than the calls: ends, a
// byte of every page, or all. One operation is one block or one realloc.
#include "shapes.h"

namespace bench = tide::bench;
using bench::between;
using bench::free_all;
using bench::must;
using bench::Rng;
using bench::SizeTable;
using bench::take;
using bench::Touch;
using bench::touch_block;
using bench::Work;

namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * 1024;

uint64_t churn_34k(const Work& work) {
  return bench::replace_at_random(work.rng(), 2048, work.evenly(1 * kKiB, 34 * kKiB),
                                  work.times(1000000));
}

uint64_t churn_256k(const Work& work) {
  return bench::replace_at_random(work.rng(), 256, work.evenly(34 * kKiB, 256 * kKiB),
                                  work.times(300000));
}

uint64_t churn_256m(const Work& work) {
  return bench::replace_at_random(work.rng(), 4, work.doublings(4 * kMiB, 256 * kMiB),
                                  work.times(10000));
}

uint64_t pages_64m(const Work& work) {
  return bench::replace_at_random(work.rng(), 2, work.evenly(8 * kMiB, 64 * kMiB), work.times(15),
                                  Touch::kPages);
}

// Around the sizes from which on the C library maps each block.
uint64_t around_128k(const Work& work) {
  return bench::replace_at_random(work.rng(), 64, work.evenly(120 * kKiB, 140 * kKiB),
                                  work.times(800000));
}

uint64_t batch_shuffled(const Work& work, uint64_t batches, size_t count, const SizeTable& sizes) {
  Rng rng = work.rng();
  std::vector<size_t> order(count);
  for (size_t i = 0; i < count; ++i) order[i] = i;
  bench::shuffle(order, rng);
  std::vector<void*> blocks(count);
  for (uint64_t batch = 0; batch < batches; ++batch) {
    for (void*& block : blocks) block = take(sizes.pick(rng.next()));
    for (const size_t at : order) std::free(blocks[at]);
  }
  return batches * count;
}

uint64_t batch_4k(const Work& work) {
  return batch_shuffled(work, work.times(300), 4000, work.evenly(1 * kKiB, 8 * kKiB));
}

uint64_t batch_100k(const Work& work) {
  return batch_shuffled(work, work.times(300), 400, work.evenly(34 * kKiB, 256 * kKiB));
}

uint64_t zeroed(const Work& work, uint64_t count, uint32_t slots, const SizeTable& sizes,
                Touch how) {
  Rng rng = work.rng();
  std::vector<void*> blocks(slots);
  for (uint64_t i = 0; i < count; ++i) {
    void*& block = blocks[i % slots];
    std::free(block);
    const size_t bytes = sizes.pick(rng.next());
    block = must(std::calloc(1, bytes));
    if (static_cast<char*>(block)[bytes / 2] != 0) bench::fail("calloc: a byte is not 0");
    touch_block(block, bytes, how);
  }
  free_all(blocks);
  return count;
}

uint64_t calloc_middle(const Work& work) {
  return zeroed(work, work.times(80000), 16, work.doublings(10000, 100000), Touch::kEnds);
}

uint64_t calloc_large(const Work& work) {
  return zeroed(work, work.times(2000), 4, work.evenly(100000, 1000000), Touch::kPages);
}

uint64_t grow_half(const Work& work) {
  const uint64_t times = work.times(10);
  uint64_t operations = 0;
  for (uint64_t i = 0; i < times; ++i) {
    size_t bytes = 64;
    void* block = take(bytes);
    while (bytes < 32 * kMiB) {
      const size_t wanted = bytes + bytes / 2;
      block = must(std::realloc(block, wanted));
      touch_block(static_cast<char*>(block) + bytes, wanted - bytes, Touch::kPages);
      bytes = wanted;
      ++operations;
    }
    std::free(block);
  }
  return operations;
}

uint64_t grow_step(const Work& work) {
  constexpr size_t kStep = 64 * kKiB;
  const uint64_t times = work.times(10);
  uint64_t operations = 0;
  for (uint64_t i = 0; i < times; ++i) {
    void* block = nullptr;
    for (size_t bytes = 0; bytes < 16 * kMiB; bytes += kStep) {
      block = must(std::realloc(block, bytes + kStep));
      touch_block(static_cast<char*>(block) + bytes, kStep, Touch::kPages);
      ++operations;
    }
    std::free(block);
  }
  return operations;
}

// Four texts that are written in turns, up to 4 KiB at a time, to 2 MiB.
uint64_t texts_2m(const Work& work) {
  constexpr size_t kBytes = 2 * kMiB;
  Rng rng = work.rng();
  const uint64_t rounds = work.times(8);
  uint64_t operations = 0;
  for (uint64_t round = 0; round < rounds; ++round) {
    void* texts[4] = {};
    size_t sizes[4] = {};
    for (uint32_t i = 0; *std::min_element(sizes, sizes + 4) < kBytes; i = (i + 1) % 4) {
      if (sizes[i] >= kBytes) continue;
      const size_t added = between(rng, 1, 4096);
      texts[i] = must(std::realloc(texts[i], sizes[i] + added));
      touch_block(static_cast<char*>(texts[i]) + sizes[i], added, Touch::kAll);
      sizes[i] += added;
      ++operations;
    }
    for (void* const text : texts) std::free(text);
  }
  return operations;
}

// Blocks that are given any other size of a range by realloc.
uint64_t resize(const Work& work, uint32_t slots, const SizeTable& sizes, uint64_t count) {
  Rng rng = work.rng();
  std::vector<void*> blocks(slots);
  for (uint64_t i = 0; i < count; ++i) {
    void*& block = blocks[rng.below(slots)];
    const size_t bytes = sizes.pick(rng.next());
    block = must(std::realloc(block, bytes));
    touch_block(block, bytes, Touch::kEnds);
  }
  free_all(blocks);
  return count;
}

uint64_t resize_64k(const Work& work) {
  return resize(work, 256, work.doublings(1 * kKiB, 64 * kKiB), work.times(250000));
}

uint64_t resize_4m(const Work& work) {
  return resize(work, 32, work.doublings(64 * kKiB, 4 * kMiB), work.times(3000));
}

// Sizes change by up to half, up or down.
uint64_t resize_near(const Work& work) {
  constexpr size_t kMin = 1 * kMiB;
  constexpr size_t kMax = 64 * kMiB;
  Rng rng = work.rng();
  const uint64_t count = work.times(400);
  std::vector<void*> blocks(8);
  std::vector<size_t> sizes(8, (kMin + kMax) / 2);
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t at = rng.below(8);
    const size_t wanted = between(rng, sizes[at] / 2, sizes[at] / 2 * 3);
    sizes[at] = std::clamp(wanted, kMin, kMax);
    blocks[at] = must(std::realloc(blocks[at], sizes[at]));
    touch_block(blocks[at], sizes[at], Touch::kEnds);
  }
  free_all(blocks);
  return count;
}

uint64_t aligned_large(const Work& work) {
  Rng rng = work.rng();
  const SizeTable sizes = work.doublings(256, 512 * kKiB);
  const uint64_t count = work.times(200000);
  std::vector<void*> blocks(64);
  for (uint64_t i = 0; i < count; ++i) {
    void*& block = blocks[rng.below(64)];
    std::free(block);
    const size_t bytes = sizes.pick(rng.next());
    if (posix_memalign(&block, size_t{64} << rng.below(16), bytes) != 0) bench::fail("no memory");
    touch_block(block, bytes, Touch::kEnds);
  }
  free_all(blocks);
  return count;
}

// The same amount of memory six times, each time in blocks of another size.
uint64_t phases(const Work& work) {
  const uint64_t bytes_of_phase = work.times(48) * kMiB;
  uint64_t operations = 0;
  for (uint32_t round = 0; round < 2; ++round) {
    for (const size_t bytes : {1500, 6000, 24000, 100000, 400000, 1600000}) {
      std::vector<void*> blocks;
      for (uint64_t total = 0; total < bytes_of_phase; total += bytes) {
        blocks.push_back(take(bytes, Touch::kPages));
      }
      free_all(blocks);
      operations += blocks.size();
    }
  }
  return operations;
}

// The last 64 tiles of an image of four bytes a pixel; for each new one a frame and a line to
// compute it in.
uint64_t tiles(const Work& work) {
  const uint64_t count = work.times(5000);
  std::vector<void*> cached(64);
  for (uint64_t i = 0; i < count; ++i) {
    void*& tile = cached[i % cached.size()];
    std::free(tile);
    tile = take(256 * 256 * 4 + 64, Touch::kAll);
    void* const frame = take(264 * 264 * 4, Touch::kPages);
    std::free(take(256 * 16, Touch::kAll));
    std::free(frame);
  }
  free_all(cached);
  return 3 * count;
}

// Square matrices of 50 to 700 rows, four of each size, freed in another order.
uint64_t matrices(const Work& work) {
  Rng rng = work.rng();
  const uint64_t count = work.times(500);
  for (uint64_t i = 0; i < count; ++i) {
    const size_t rows = between(rng, 50, 700);
    const size_t bytes = rows * rows * sizeof(double);
    void* const left = take(bytes, Touch::kPages);
    void* const right = take(bytes, Touch::kPages);
    void* const product = must(std::calloc(rows * rows, sizeof(double)));
    touch_block(product, bytes, Touch::kPages);
    std::free(right);
    void* const transposed = take(bytes, Touch::kPages);
    std::free(left);
    std::free(transposed);
    std::free(product);
  }
  return 4 * count;
}

// Areas of 256 KiB of which there are more, then fewer, then more, up to 200.
uint64_t areas(const Work& work) {
  Rng rng = work.rng();
  const uint64_t steps = work.times(40000);
  std::vector<void*> live;
  uint64_t operations = 0;
  for (uint64_t i = 0; i < steps; ++i) {
    const bool is_growing = i / 500 % 2 != 0;
    if (live.size() < 200 && rng.below(100) < (is_growing ? 70u : 30u)) {
      live.push_back(take(256 * kKiB, Touch::kPages));
      ++operations;
    } else if (!live.empty()) {
      std::swap(live[rng.below(static_cast<uint32_t>(live.size()))], live.back());
      std::free(live.back());
      live.pop_back();
    }
  }
  free_all(live);
  return operations;
}

constexpr bench::Shape kShapes[] = {
    {"churn_34k", "2,048 slots, 1-34 KiB", churn_34k},
    {"churn_256k", "256 slots, 34-256 KiB", churn_256k},
    {"churn_256m", "4 slots, 4-256 MiB", churn_256m},
    {"pages_64m", "2 slots, 8-64 MiB, pages written", pages_64m},
    {"around_128k", "64 slots, 120-140 KiB", around_128k},
    {"batch_4k", "4,000 blocks of 1-8 KiB, freed shuffled", batch_4k},
    {"batch_100k", "400 blocks of 34-256 KiB, freed shuffled", batch_100k},
    {"calloc_middle", "16 slots, calloc of 10-100 KB", calloc_middle},
    {"calloc_large", "4 slots, calloc of 100 KB-1 MB, pages written", calloc_large},
    {"grow_half", "realloc growth to 32 MiB by half, pages written", grow_half},
    {"grow_step", "realloc growth to 16 MiB by 64 KiB, pages written", grow_step},
    {"texts_2m", "4 texts written by realloc in turns, to 4 KiB at a time, to 2 MiB", texts_2m},
    {"resize_64k", "256 slots, realloc to any of 1-64 KiB", resize_64k},
    {"resize_4m", "32 slots, realloc to any of 64 KiB-4 MiB", resize_4m},
    {"resize_near", "8 slots, 1-64 MiB, realloc by up to half up or down", resize_near},
    {"aligned_large", "64 slots, 256 B-512 KiB, aligned to 64 B-2 MiB", aligned_large},
    {"phases", "48 MiB in blocks of 1.5 KB, then of 6 KB, ... 1.6 MB", phases},
    {"tiles", "64 tiles of 256 KiB of an image, with frames and lines", tiles},
    {"matrices", "four matrices of 50-700 rows at a time, pages written", matrices},
    {"areas", "up to 200 areas of 256 KiB, more and fewer in turns", areas},
};

}  // namespace

int main(int argc, char** argv) {
  return bench::shapes_main(argc, argv, "shapes_large --shape tiles --scale 100", kShapes);
}
