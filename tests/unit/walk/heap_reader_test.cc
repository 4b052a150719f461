// The reader's figures of an engine, by its root alone, are those that the engine itself counts.
#include "walk/heap_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "heap/engine_map.h"
#include "host/error.h"
#include "tests/unit/engine_client.h"
#include "walk/tide_heap.h"
#include "walk/tide_tables.h"

namespace tide::tests {
namespace {

// Our own memory, where nothing is at the addresses of null pointers' fields.
class OwnMemory : public walk::Target {
 public:
  std::string name() const override { return "ourselves"; }
  bool is_core() const override { return false; }
  const std::vector<walk::Segment>& segments() const override { return segments_; }
  const std::vector<walk::Thread>& threads() const override { return threads_; }
  std::string program() const override { return {}; }
  std::span<const std::byte> view(uint64_t address, size_t bytes, walk::Buffer&) const override {
    if (address < 65536) return {};
    return {reinterpret_cast<const std::byte*>(address), bytes};
  }

 private:
  std::vector<walk::Segment> segments_;
  std::vector<walk::Thread> threads_;
};

bool holds(const std::vector<walk::Range>& ranges, uint64_t address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const walk::Range& range) { return range.contains(address); });
}
bool holds(const std::vector<walk::Range>& ranges, const void* p) {
  return holds(ranges, reinterpret_cast<uint64_t>(p));
}

class HeapReaderTest : public testing::Test {
 protected:
  HeapReaderTest() {
    root_.library_version = TIDE_VERSION;
    root_.self = &root_;
  }
  walk::HeapReader reader() const { return {memory_, reinterpret_cast<uint64_t>(&root_)}; }

  void expect_same() {
    heap::Stats inside;
    box_.engine->collect_stats(inside);
    const walk::HeapFigures outside = reader().figures();
    const tide_stats& totals = outside.totals;
    EXPECT_EQ(totals.mapped_bytes, inside.mapped_bytes);
    EXPECT_EQ(totals.live_bytes, inside.live_bytes);
    EXPECT_EQ(totals.live_blocks, inside.live_blocks);
    EXPECT_EQ(totals.cached_bytes, inside.cached_bytes);
    EXPECT_EQ(totals.free_dirty_bytes, inside.free_dirty_bytes);
    EXPECT_EQ(totals.returned_bytes, inside.returned_bytes);
    EXPECT_EQ(totals.metadata_bytes, inside.metadata_bytes);
    EXPECT_EQ(totals.large_live_bytes, inside.large_live_bytes);
    EXPECT_EQ(totals.large_live_blocks, inside.large_live_blocks);
    EXPECT_EQ(totals.huge_live_bytes, inside.huge_live_bytes);
    EXPECT_EQ(totals.huge_live_blocks, inside.huge_live_blocks);
    EXPECT_EQ(totals.huge_cached_bytes, inside.huge_cached_bytes);
    EXPECT_EQ(totals.thread_caches, inside.thread_caches);
    EXPECT_EQ(totals.heaps, inside.heaps);
    EXPECT_EQ(totals.purge_calls, inside.purge_calls);
    EXPECT_EQ(totals.purged_bytes, inside.purged_bytes);
    EXPECT_EQ(totals.retaken_bytes, inside.retaken_bytes);
    EXPECT_EQ(totals.purge_max_ns, inside.purge_max_ns);
    EXPECT_EQ(totals.purge_total_ns, inside.purge_total_ns);
    EXPECT_EQ(totals.background_turns, inside.background_turns);
    EXPECT_EQ(totals.limit_bytes, inside.limit_bytes);
    EXPECT_EQ(totals.footprint_bytes, inside.footprint_bytes);
    EXPECT_EQ(totals.limit_soft_bytes, inside.limit_soft_bytes);
    EXPECT_EQ(totals.limit_hard_bytes, inside.limit_hard_bytes);
    if (!box_.engine->started()) return;
    ASSERT_EQ(outside.classes.size(), layout::kClassCount - 1);
    for (uint32_t c = 1; c < layout::kClassCount; ++c) {
      const tide_class_stats& entry = outside.classes[c - 1];
      EXPECT_EQ(entry.block_bytes, inside.classes[c].block_bytes);
      EXPECT_EQ(entry.slabs, inside.classes[c].slabs) << c;
      EXPECT_EQ(entry.live_blocks, inside.classes[c].live_blocks) << c;
      EXPECT_EQ(entry.cached_blocks, inside.classes[c].cached_blocks) << c;
      EXPECT_EQ(entry.free_blocks, inside.classes[c].free_blocks) << c;
    }
    expect_same_threads(outside.threads);
  }

  void expect_same_threads(const std::vector<tide_thread_stats>& outside) {
    std::vector<heap::ThreadStats> inside;
    box_.engine->visit_caches(
        [](const heap::ThreadStats& stats, void* argument) {
          static_cast<std::vector<heap::ThreadStats>*>(argument)->push_back(stats);
        },
        &inside);
    ASSERT_EQ(outside.size(), inside.size());
    for (size_t i = 0; i < inside.size(); ++i) {
      EXPECT_EQ(outside[i].thread_id, static_cast<uint64_t>(inside[i].owner));
      EXPECT_EQ(outside[i].state, static_cast<uint32_t>(inside[i].state));
      EXPECT_EQ(outside[i].cached_bytes, inside[i].cached_bytes);
      EXPECT_EQ(outside[i].cached_blocks, inside[i].cached_blocks);
    }
  }

  EngineBox box_;
  heap::EngineMap::ClassRows class_rows_ = heap::EngineMap::class_rows<FakeVm>();
  heap::EngineMap::StackRows stack_rows_ = heap::EngineMap::stack_rows();
  layout::HeapRoot root_ = heap::EngineMap::root(*box_.engine, class_rows_, stack_rows_);
  OwnMemory memory_;
};

TEST_F(HeapReaderTest, NothingBeforeTheStart) {
  expect_same();
  EXPECT_EQ(reader().figures().totals.mapped_bytes, 0u);
  EXPECT_TRUE(reader().ranges().zones.empty());
  EXPECT_EQ(reader().library_version(), TIDE_VERSION);
}

TEST_F(HeapReaderTest, AgreesWithTheEngineAtAnyMoment) {
  ASSERT_TRUE(box_.start());
  expect_same();
  std::mt19937 random(11);
  FakeHeap* const heap = box_.engine->heap_create(SIZE_MAX);
  Client threads[3] = {Client(*box_.engine), Client(*box_.engine), Client(*box_.engine)};
  std::vector<void*> held;
  for (int step = 0; step < 6000; ++step) {
    Client& thread = threads[random() % 3];
    if (held.empty() || random() % 9 < 5) {
      const unsigned kind = random() % 300;
      const size_t bytes = kind == 0   ? 33'000'000 + random() % 3'000'000
                           : kind < 12 ? 70'000 + random() % 500'000
                                       : random() % (kind < 200 ? 300 : 30'000);
      held.push_back(random() % 5 == 0 ? box_.engine->heap_allocate(heap, bytes, 0, false)
                                       : thread.allocate(bytes));
      ASSERT_NE(held.back(), nullptr);
    } else {
      std::swap(held[random() % held.size()], held.back());
      ASSERT_EQ(thread.release(held.back()), heap::Released::kDone);
      held.pop_back();
    }
    if (step % 1900 == 1000) thread.purge();
    if (step == 4000) threads[2].park();
    if (step == 4100) threads[2].acquire();
    if (step % 400 == 399) expect_same();
  }
  for (void* block : held) threads[0].release(block);
  expect_same();
}

TEST_F(HeapReaderTest, ReadsPurgeFigures) {
  ASSERT_TRUE(box_.start());
  // Whatever the engine counts there is read from where it counts.
  char* const engine = reinterpret_cast<char*>(box_.engine.get());
  const uint32_t places[] = {root_.purges.retaken_bytes, root_.purges.max_ns,
                             root_.purges.total_ns,      root_.purges.background_turns,
                             root_.limits.footprint,     root_.limits.soft,
                             root_.limits.hard};
  uint64_t value = 100;
  for (const uint32_t place : places) {
    ++value;
    memcpy(engine + place, &value, sizeof value);
  }
  expect_same();
  EXPECT_EQ(reader().figures().totals.limit_bytes, 107u);
}

TEST_F(HeapReaderTest, KnowsWhereTheMemoryIs) {
  ASSERT_TRUE(box_.start());
  Client thread(*box_.engine);
  void* const huge = thread.allocate(40'000'000);
  void* const freed = thread.allocate(50'000'000);
  void* const small = thread.allocate(10);
  void* const mid = thread.allocate(10'000);
  void* const large = thread.allocate(100'000);
  thread.release(freed);
  const walk::HeapRanges ranges = reader().ranges();
  for (void* p : {small, mid, large}) EXPECT_TRUE(holds(ranges.zones, p));
  EXPECT_TRUE(holds(ranges.huge, huge));
  EXPECT_FALSE(holds(ranges.huge, freed));
  EXPECT_TRUE(holds(ranges.kept, freed));
  EXPECT_TRUE(holds(ranges.records, thread.cache()));
  EXPECT_FALSE(holds(ranges.records, small));
}

// Others may map something behind what a zone or a table has grown to.
TEST_F(HeapReaderTest, AWindowIsTheHeapsOwnOnlyAsFarAsItIsMapped) {
  ASSERT_TRUE(box_.start());
  Client thread(*box_.engine);
  void* const small = thread.allocate(10);
  void* const mid = thread.allocate(10'000);
  void* const large = thread.allocate(100'000);
  const walk::TideHeap heap(memory_, reinterpret_cast<uint64_t>(&root_));
  const walk::HeapRanges figures = reader().ranges();
  const auto base = *reinterpret_cast<const uint64_t*>(
      reinterpret_cast<const char*>(box_.engine.get()) + root_.windows.base);
  const auto window = *reinterpret_cast<const uint64_t*>(
      reinterpret_cast<const char*>(box_.engine.get()) + root_.windows.window_bytes);
  EXPECT_TRUE(holds(figures.records, base)) << "the header";
  EXPECT_TRUE(holds(heap.records(), base));
  for (uint64_t i = 0; i < 4; ++i) {
    const uint64_t behind = base + (i + 1) * window - 4096;
    EXPECT_FALSE(holds(figures.records, behind)) << i;
    EXPECT_FALSE(holds(figures.zones, behind)) << i;
    EXPECT_FALSE(holds(heap.records(), behind)) << i;
    EXPECT_FALSE(holds(heap.ranges(), behind)) << i;
  }
  for (void* p : {small, mid, large}) {
    EXPECT_TRUE(holds(heap.ranges(), p));
    EXPECT_FALSE(holds(heap.records(), p));
  }
  EXPECT_TRUE(holds(heap.records(), thread.cache()));
  // All that is mapped for the heap's records is in them, and nothing else.
  uint64_t in_tables = 0;
  for (const layout::ZoneAt& zone : root_.zones) {
    const walk::TideRoot root = walk::read_tide_root(memory_, reinterpret_cast<uint64_t>(&root_));
    for (const walk::Range& table : walk::read_zone_place(memory_, root, zone).tables()) {
      EXPECT_TRUE(holds(heap.records(), table.start));
      EXPECT_TRUE(holds(heap.records(), table.end - 1));
      EXPECT_GE(table.start, base);
      EXPECT_LE(table.end, base + window);
      in_tables += table.end - table.start;
    }
  }
  EXPECT_GT(in_tables, 0u);
  EXPECT_LE(in_tables, reader().figures().totals.metadata_bytes);
}

TEST_F(HeapReaderTest, RefusesWhatItDoesNotKnow) {
  const layout::HeapRoot good = root_;
  root_.magic += 1;
  EXPECT_THROW(reader(), host::Error);
  root_ = good;
  for (const uint32_t version : {layout::kHeapRootVersion - 1, layout::kHeapRootVersion + 1}) {
    root_.version = version;
    try {
      reader();
      ADD_FAILURE() << "reads version " << version;
    } catch (const host::Error& error) {
      EXPECT_EQ(std::string(error.what()),
                "its Tide describes itself in version " + std::to_string(version) +
                    " and this command knows version " + std::to_string(layout::kHeapRootVersion) +
                    "; use the command that came with that library");
    }
  }
  root_ = good;
  root_.bytes -= 8;
  EXPECT_THROW(reader(), host::Error);
  root_ = good;
  root_.word_bytes = 4;
  EXPECT_THROW(reader(), host::Error);
  root_ = good;
  root_.bytes += 8;
  EXPECT_NO_THROW(reader()) << "newer, with fields at the end that we do not need";
}

// Whoever looks may come at any time: also while pages are on their way back, and blocks with them.
TEST_F(HeapReaderTest, TheHeapIsSoundInTheMiddleOfAPurge) {
  ASSERT_TRUE(box_.start());
  Client thread(*box_.engine);
  std::vector<void*> dead;
  for (int i = 0; i < 200'000; ++i) {
    void* const block = thread.allocate(64);
    if (i / 2000 % 2 == 0) dead.push_back(block);
  }
  for (void* const block : dead) ASSERT_EQ(thread.release(block), heap::Released::kDone);
  uint64_t held = 0;
  int looks = 0;
  box_.os.set_hook([&](const FakeOs::Event& event) {
    if (event.call != VmCall::kPurge) return;
    ++looks;
    const walk::TideHeap heap(memory_, reinterpret_cast<uint64_t>(&root_));
    for (const walk::Problem& problem : heap.check(10)) ADD_FAILURE() << problem.text;
    held = std::max(held, heap.summary().in_flight_blocks);
  });
  thread.purge();
  box_.os.set_hook(nullptr);
  EXPECT_GT(looks, 0);
  EXPECT_EQ(held, 0u);
}

// What a process says of itself leads nowhere outside of the reader's own arrays.
TEST_F(HeapReaderTest, RefusesWhatIsDamaged) {
  ASSERT_TRUE(box_.start());
  const layout::HeapRoot good = root_;
  const auto expect_refused = [&](auto damage) {
    root_ = good;
    damage(root_);
    EXPECT_THROW(reader(), host::Error);
  };
  using Root = layout::HeapRoot;
  expect_refused([](Root& root) { root.class_count = UINT32_MAX; });
  expect_refused([](Root& root) { root.stack_count = UINT32_MAX; });
  expect_refused([](Root& root) { root.batches.slots = 33; });
  expect_refused([](Root& root) { root.slabs.granules_per_slab = 0; });
  expect_refused([](Root& root) { root.slabs.purge_units = 0; });
  expect_refused([](Root& root) { root.huge.kept_slots = UINT32_MAX; });
  expect_refused([](Root& root) { root.slabs.head_bytes = UINT32_MAX; });
  expect_refused([](Root& root) { root.slabs.head_bytes = 4; });
  expect_refused([](Root& root) { root.slabs.carved = UINT32_MAX; });
  expect_refused([](Root& root) { root.slabs.purged = root.slabs.head_bytes - 8; });
  expect_refused([](Root& root) { root.huge.entry_size = root.huge.entry_bytes; });
  expect_refused([](Root& root) { root.class_count = 8; });  // stacks name classes behind these
  std::vector<layout::ClassRow> rows(good.classes, good.classes + good.class_count);
  rows[1].homes = UINT32_MAX;
  expect_refused([&](Root& root) { root.classes = rows.data(); });
  root_ = good;
  EXPECT_NO_THROW(reader());
}

TEST_F(HeapReaderTest, AListWithoutEndIsNotFollowedForEver) {
  ASSERT_TRUE(box_.start());
  Client thread(*box_.engine);
  thread.cache()->next = thread.cache();
  EXPECT_THROW(reader().figures(), host::Error);
  thread.cache()->next = nullptr;
  EXPECT_NO_THROW(reader().figures());
}

}  // namespace
}  // namespace tide::tests
