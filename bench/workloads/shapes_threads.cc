// Shapes of several threads: hand-off in batches, pipelines, blocks freed by whoever finds them,
// threads that come and go, servers.
//
// What a thread asks for depends on the seed alone; which thread frees a block that is handed over
// may depend on the scheduler. One operation is one block, or one request or message.
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>

#include "shapes.h"

namespace bench = tide::bench;
using bench::between;
using bench::free_all;
using bench::in_threads;
using bench::Rng;
using bench::SizeTable;
using bench::take;
using bench::Touch;
using bench::Work;

namespace {

// Between any number of threads; put waits while it is full, get while it is empty.
template <class Item>
class Channel {
 public:
  explicit Channel(size_t capacity) : capacity_(capacity) {}

  void put(Item item) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [&] { return items_.size() < capacity_; });
    items_.push_back(std::move(item));
    lock.unlock();
    not_empty_.notify_one();
  }

  Item get() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [&] { return !items_.empty(); });
    Item item = std::move(items_.front());
    items_.pop_front();
    lock.unlock();
    not_full_.notify_one();
    return item;
  }

 private:
  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable not_full_;
  std::condition_variable not_empty_;
  std::deque<Item> items_;
};

// `pairs` threads allocate batches, as many others free them. An empty batch ends a thread.
uint64_t hand_off(const Work& work, uint32_t pairs, uint64_t batches, size_t batch_blocks,
                  const SizeTable& sizes, Touch how) {
  Channel<std::vector<void*>> channel(32);
  in_threads(2 * pairs, [&](uint32_t thread) {
    if (thread < pairs) {
      Rng rng = work.rng(thread);
      for (uint64_t i = 0; i < batches; ++i) {
        std::vector<void*> batch(batch_blocks);
        for (void*& block : batch) block = take(sizes.pick(rng.next()), how);
        channel.put(std::move(batch));
      }
      channel.put({});
    } else {
      for (;;) {
        const std::vector<void*> batch = channel.get();
        if (batch.empty()) return;
        free_all(batch);
      }
    }
  });
  return pairs * batches * batch_blocks;
}

uint64_t handoff_small(const Work& work) {
  return hand_off(work, 4, work.times(1000), 512, work.evenly(16, 255), Touch::kEnds);
}

uint64_t handoff_middle(const Work& work) {
  return hand_off(work, 1, work.times(6000), 16, work.doublings(1024, 34816), Touch::kAll);
}

uint64_t handoff_large(const Work& work) {
  return hand_off(work, 1, work.times(800), 16, work.doublings(34816, 1 << 20), Touch::kPages);
}

using SharedSlots = std::vector<std::atomic<void*>>;

void free_shared(SharedSlots& slots) {
  for (std::atomic<void*>& slot : slots) std::free(slot.exchange(nullptr));
}

// Rounds of new threads, each with a stack of blocks of its own; some go to whoever finds them.
uint64_t stress_rounds(const Work& work) {
  constexpr uint32_t kThreads = 8;
  const SizeTable small = work.evenly(8, 256);
  const SizeTable middle = work.evenly(8, 4000);
  const SizeTable large = work.evenly(8192, 108191);
  const uint64_t rounds = 6;
  const uint64_t steps = work.times(80000);
  SharedSlots shared(1000);
  const auto pick = [&](Rng& rng) {
    if (rng.below(100) == 0) return large.pick(rng.next());
    return (rng.below(10) != 0 ? small : middle).pick(rng.next());
  };
  for (uint64_t round = 0; round < rounds; ++round) {
    in_threads(kThreads, [&](uint32_t thread) {
      Rng rng = work.rng(round * kThreads + thread);
      std::vector<void*> stack;
      for (uint64_t i = 0; i < steps; ++i) {
        const uint32_t choice = rng.below(100);
        if (choice < 50 || stack.empty()) {
          stack.push_back(take(pick(rng)));
        } else {
          std::free(stack.back());
          stack.pop_back();
        }
        if (choice < 95 || stack.empty()) continue;
        std::free(shared[rng.below(1000)].exchange(stack.back()));
        stack.pop_back();
      }
      free_all(stack);
    });
  }
  free_shared(shared);
  return rounds * kThreads * steps;
}

uint64_t churn_16(const Work& work) {
  const SizeTable sizes = work.evenly(1, 512);
  const uint64_t count = work.times(750000);
  in_threads(
      16, [&](uint32_t thread) { bench::replace_at_random(work.rng(thread), 500, sizes, count); });
  return 16 * count;
}

// The threads put their blocks into the same slots and free what was there.
uint64_t exchange_8(const Work& work) {
  constexpr uint32_t kSlots = 10000;
  const SizeTable sizes = work.doublings(16, 8000);
  const uint64_t count = work.times(100000);
  SharedSlots slots(kSlots);
  in_threads(8, [&](uint32_t thread) {
    Rng rng = work.rng(thread);
    for (uint64_t i = 0; i < count; ++i) {
      void* const block = take(sizes.pick(rng.next()));
      std::free(slots[rng.below(kSlots)].exchange(block));
    }
  });
  free_shared(slots);
  return 8 * count;
}

uint64_t threads_in_turn(const Work& work) {
  const uint64_t threads = work.times(2000);
  const SizeTable sizes = work.evenly(16, 515);
  for (uint64_t i = 0; i < threads; ++i) {
    in_threads(1, [&](uint32_t) {
      Rng rng = work.rng(i);
      std::vector<void*> blocks(200);
      for (void*& block : blocks) block = take(sizes.pick(rng.next()));
      free_all(blocks);
    });
  }
  return threads * 200;
}

// Messages through four threads: written, copied with a header, made longer, dropped.
uint64_t pipeline(const Work& work) {
  using Text = std::string*;  // null: the end
  const uint64_t messages = work.times(80000);
  std::array<Channel<Text>, 3> channels{Channel<Text>(256), Channel<Text>(256), Channel<Text>(256)};
  in_threads(4, [&](uint32_t stage) {
    Rng rng = work.rng();
    for (uint64_t i = 0; stage == 0 && i < messages; ++i) {
      channels[0].put(new std::string(between(rng, 20, 319), 'a'));
    }
    while (Text text = stage == 0 ? nullptr : channels[stage - 1].get()) {
      if (stage == 1) {
        const Text copy = new std::string(*text + "head");
        delete text;
        channels[1].put(copy);
      } else if (stage == 2) {
        text->append(text->size(), 'b');
        channels[2].put(text);
      } else {
        delete text;
      }
    }
    if (stage < 3) channels[stage].put(nullptr);
  });
  return messages;
}

struct Connection {
  void* input = nullptr;
  void* output = nullptr;
  std::vector<void*> parts;

  void close() {
    std::free(input);
    std::free(output);
    free_all(parts);
    parts.clear();
  }
};

// A request: the connection's last one is freed, then a buffer to read into, which is written in
// part, a dozen small blocks, and the answer.
uint64_t web_8(const Work& work) {
  const uint64_t requests = work.times(6000);
  const SizeTable part_sizes = work.doublings(16, 1024);
  const SizeTable answer_sizes = work.doublings(2048, 65536);
  in_threads(8, [&](uint32_t thread) {
    Rng rng = work.rng(thread);
    std::vector<Connection> connections(100);
    for (uint64_t i = 0; i < requests; ++i) {
      Connection& connection = connections[rng.below(100)];
      connection.close();
      connection.input = take(16384);
      std::memset(connection.input, 1, between(rng, 200, 4000));
      for (uint32_t k = 0; k < 12; ++k) {
        connection.parts.push_back(take(part_sizes.pick(rng.next())));
      }
      connection.output = take(answer_sizes.pick(rng.next()), Touch::kAll);
    }
    for (Connection& connection : connections) connection.close();
  });
  return 8 * requests;
}

// Two of three packets are full ones, the others small; one of fifty is a jumbo frame.
uint64_t packets_8(const Work& work) {
  const uint64_t packets = work.times(200000);
  in_threads(8, [&](uint32_t thread) {
    Rng rng = work.rng(thread);
    std::vector<void*> ring(2048);
    for (uint64_t i = 0; i < packets; ++i) {
      size_t bytes = rng.below(3) != 0 ? between(rng, 1400, 1600) : between(rng, 60, 200);
      if (rng.below(50) == 0) bytes = 9000;
      void*& packet = ring[i % ring.size()];
      std::free(packet);
      packet = take(bytes, Touch::kAll);
    }
    free_all(ring);
  });
  return 8 * packets;
}

uint64_t middle_64(const Work& work) {
  const SizeTable sizes = work.doublings(1024, 65536);
  const uint64_t count = work.times(10000);
  in_threads(64, [&](uint32_t thread) {
    bench::replace_at_random(work.rng(thread), 32, sizes, count, Touch::kPages);
  });
  return 64 * count;
}

uint64_t large_16(const Work& work) {
  const SizeTable sizes = work.doublings(65536, 1 << 20);
  const uint64_t count = work.times(500);
  in_threads(16, [&](uint32_t thread) {
    bench::replace_at_random(work.rng(thread), 8, sizes, count, Touch::kPages);
  });
  return 16 * count;
}

constexpr bench::Shape kShapes[] = {
    {"handoff_small", "4 threads allocate 512 blocks of 16-255 B at a time, 4 free", handoff_small},
    {"handoff_middle", "1 thread allocates 16 blocks of 1-34 KiB at a time, 1 frees",
     handoff_middle},
    {"handoff_large", "1 thread allocates 16 blocks of 34 KiB-1 MiB at a time, 1 frees",
     handoff_large},
    {"stress_rounds", "6 rounds of 8 threads, stacks of blocks, some freed by others",
     stress_rounds},
    {"churn_16", "16 threads, 500 slots each, 1-512 B", churn_16},
    {"exchange_8", "8 threads, the same 10,000 slots, 16-8,000 B", exchange_8},
    {"threads_in_turn", "threads of 200 blocks, one after the other", threads_in_turn},
    {"pipeline", "messages through four threads, copied and made longer", pipeline},
    {"web_8", "8 threads, 100 connections each: buffers, small blocks, answers", web_8},
    {"packets_8", "8 threads, rings of 2,048 packets", packets_8},
    {"middle_64", "64 threads, 32 slots each, 1-64 KiB, pages written", middle_64},
    {"large_16", "16 threads, 8 slots each, 64 KiB-1 MiB, pages written", large_16},
};

}  // namespace

int main(int argc, char** argv) {
  return bench::shapes_main(argc, argv, "shapes_threads --shape web_8 --scale 100", kShapes);
}
