// Single calls, one thread, with Google Benchmark: pairs by size, batches in three orders of free,
// calloc, aligned, realloc growth, new and sized delete.
//
// Each case counts one malloc/free pair (or one growth) as an item; bench/compare reads the
// library's JSON and shows the time of an item.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "harness.h"

namespace bench = tide::bench;

namespace {

enum class Order { kLifo, kFifo, kShuffled };

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * 1024;

void pair(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  for ([[maybe_unused]] auto _ : state) {
    void* block = std::malloc(bytes);
    benchmark::DoNotOptimize(block);
    *static_cast<volatile char*>(block) = 1;
    std::free(block);
  }
  state.SetItemsProcessed(state.iterations());
}

// The size changes from call to call, so neither the class nor the branch is learnt by heart.
void pair_mixed(benchmark::State& state) {
  const bench::SizeTable sizes(16, static_cast<size_t>(state.range(0)), true, 1);
  bench::Rng rng(1);
  for ([[maybe_unused]] auto _ : state) {
    void* block = std::malloc(sizes.pick(rng.next()));
    benchmark::DoNotOptimize(block);
    std::free(block);
  }
  state.SetItemsProcessed(state.iterations());
}

void batch(benchmark::State& state, Order order) {
  const auto bytes = static_cast<size_t>(state.range(0));
  const auto count = static_cast<size_t>(state.range(1));
  std::vector<size_t> turn(count);
  for (size_t i = 0; i < count; ++i) turn[i] = order == Order::kLifo ? count - 1 - i : i;
  if (order == Order::kShuffled) {
    bench::Rng rng(7);
    for (size_t i = count; i > 1; --i)
      std::swap(turn[i - 1], turn[rng.below(static_cast<uint32_t>(i))]);
  }
  std::vector<void*> blocks(count);
  for ([[maybe_unused]] auto _ : state) {
    for (void*& block : blocks) {
      block = std::malloc(bytes);
      benchmark::DoNotOptimize(block);
      *static_cast<volatile char*>(block) = 1;
    }
    for (const size_t at : turn) std::free(blocks[at]);
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

void zeroed(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  for ([[maybe_unused]] auto _ : state) {
    void* block = std::calloc(1, bytes);
    benchmark::DoNotOptimize(block);
    *static_cast<volatile char*>(block) = 1;
    std::free(block);
  }
  state.SetItemsProcessed(state.iterations());
}

void aligned(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  const auto alignment = static_cast<size_t>(state.range(1));
  for ([[maybe_unused]] auto _ : state) {
    void* block = std::aligned_alloc(alignment, bytes);
    benchmark::DoNotOptimize(block);
    *static_cast<volatile char*>(block) = 1;
    std::free(block);
  }
  state.SetItemsProcessed(state.iterations());
}

void growth(benchmark::State& state) {
  const auto final_bytes = static_cast<size_t>(state.range(0));
  const auto percent = static_cast<size_t>(state.range(1));
  for ([[maybe_unused]] auto _ : state) {
    size_t bytes = 16;
    void* block = std::malloc(bytes);
    while (bytes < final_bytes) {
      const size_t wanted = std::min(bytes * percent / 100, final_bytes);
      block = std::realloc(block, wanted);
      benchmark::DoNotOptimize(block);
      static_cast<volatile char*>(block)[wanted - 1] = 1;
      bytes = wanted;
    }
    std::free(block);
  }
  state.SetItemsProcessed(state.iterations());
}

void new_sized_delete(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  for ([[maybe_unused]] auto _ : state) {
    void* block = ::operator new(bytes);
    benchmark::DoNotOptimize(block);
    *static_cast<volatile char*>(block) = 1;
    ::operator delete(block, bytes);
  }
  state.SetItemsProcessed(state.iterations());
}

// Blocks that stay between the measured ones, so that a pair is not always the same block.
void pair_over_live(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  std::vector<void*> live(1024);
  for (void*& block : live) block = bench::must(std::malloc(bytes));
  bench::Rng rng(3);
  for ([[maybe_unused]] auto _ : state) {
    void*& slot = live[rng.below(1024)];
    std::free(slot);
    slot = std::malloc(bytes);
    benchmark::DoNotOptimize(slot);
    *static_cast<volatile char*>(slot) = 1;
  }
  for (void* block : live) std::free(block);
  state.SetItemsProcessed(state.iterations());
}

void batch_arguments(benchmark::internal::Benchmark* bench) {
  bench->Args({16, 256})->Args({64, 256})->Args({512, 256})->Args({64, 16384})->Args({16384, 256});
}

}  // namespace

BENCHMARK(pair)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->Arg(1 * kKiB)->Arg(4 * kKiB)->Arg(16 * kKiB);
BENCHMARK(pair)->Arg(64 * kKiB)->Arg(256 * kKiB)->Arg(1 * kMiB)->Arg(4 * kMiB)->Arg(32 * kMiB);
BENCHMARK(pair_mixed)->Arg(512)->Arg(16 * kKiB);
BENCHMARK(pair_over_live)->Arg(64)->Arg(4 * kKiB)->Arg(64 * kKiB);
BENCHMARK_CAPTURE(batch, lifo, Order::kLifo)->Apply(batch_arguments);
BENCHMARK_CAPTURE(batch, fifo, Order::kFifo)->Apply(batch_arguments);
BENCHMARK_CAPTURE(batch, shuffled, Order::kShuffled)->Apply(batch_arguments);
BENCHMARK(zeroed)->Arg(64)->Arg(1 * kKiB)->Arg(16 * kKiB)->Arg(256 * kKiB)->Arg(4 * kMiB);
BENCHMARK(aligned)->Args({64, 64})->Args({4096, 4096})->Args({256, 65536});
BENCHMARK(growth)
    ->Args({64 * kKiB, 150})
    ->Args({64 * kKiB, 200})
    ->Args({16 * kMiB, 150})
    ->Args({16 * kMiB, 200});
BENCHMARK(new_sized_delete)->Arg(16)->Arg(64)->Arg(1 * kKiB)->Arg(16 * kKiB);

BENCHMARK_MAIN();
