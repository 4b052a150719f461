// src/heap/depot.h as it is: batches get lost or doubled in no run, and are never read half
// written.
#include "heap/depot.h"

#include "tests/model/checker/run_models.h"

namespace {

using tide::heap::Depot;

constexpr uint32_t kBlocks = 8;

void* block(uintptr_t n) { return reinterpret_cast<void*>(n); }

// Two slots; each thread is a list of puts (+n: a batch of block n, twice in it) and takes (0: all
// of a batch, -1: one block of it).
struct DepotModel : checker::Model {
  using Acts = std::vector<std::vector<int>>;
  explicit DepotModel(const Acts& list, uint32_t slot_count) : acts(list), slots(slot_count) {}

  void thread(uint32_t t) override {
    Depot depot(word, batches);
    for (const int act : acts[t]) {
      act > 0 ? put(depot, act) : take(depot, act == 0 ? tide::layout::kMaxBatch : 1);
    }
  }
  void put(Depot& depot, int n) {
    void* batch[] = {block(n), block(n)};
    const bool done = depot.put(batch, 2, {slots});
    if (done) inside[n] = 2;
  }
  void take(Depot& depot, uint32_t most) {
    static_cast<void>(depot.count());
    void* batch[tide::layout::kMaxBatch] = {};
    const uint32_t count = depot.take(batch, most);
    if (count != 0) note(batch, count);
  }
  void note(void* const* batch, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      const auto n = reinterpret_cast<uintptr_t>(batch[i]);
      checker::require(n != 0 && n < kBlocks, "a block is none that was put");
      checker::require(++taken[n] <= 2, "a block came out twice");
    }
  }
  void finish() override {
    Depot depot(word, batches);
    void* batch[tide::layout::kMaxBatch];
    while (const uint32_t count = depot.take(batch)) note(batch, count);
    for (uint32_t n = 0; n < kBlocks; ++n) {
      checker::require(taken[n] == inside[n], "a batch is lost");
    }
  }

  const Acts& acts;
  const uint32_t slots;
  Depot::Word word{0};
  Depot::Batches batches;
  int inside[kBlocks] = {};
  int taken[kBlocks] = {};
};

checker::Program program(const char* name, uint32_t slots, DepotModel::Acts acts) {
  return {name, static_cast<uint32_t>(acts.size()), [=] {
            static std::map<std::string, DepotModel::Acts> kept;
            return new DepotModel(kept.emplace(name, acts).first->second, slots);
          }};
}

}  // namespace

int main(int argc, char** argv) {
  const checker::Suite suite{
      .programs = {program("put, take, put, one slot", 1, {{1, 2}, {0, 0}}),
                   program("two put, one slot", 1, {{1, 0}, {2, 0}}),
                   program("two put, one takes", 2, {{1}, {2}, {0}}),
                   program("one puts, two take", 1, {{1}, {0}, {0}}),
                   program("two put, two take", 2, {{1, 0}, {2, 0}}),
                   program("one takes a part, one the rest", 1, {{1, -1}, {0, 2}}),
                   program("parts of two batches", 2, {{1, -1}, {2, -1}}),
                   program("two put, room for both in a slot", 1, {{1}, {2}, {0}}),
                   program("three put, room for two in a slot", 1, {{1}, {2}, {3}}),
                   program("one joins, one takes a part", 1, {{1, 2}, {-1, 0}})},
      .mutations = {"depot: filled without a claim", "depot: emptied without a claim",
                    "depot: claim dropped by a plain store", "depot: a part is left in its batch",
                    "depot: joins as if it were alone"},
      .unneeded = {},
  };
  return checker::run_suite(suite, argc, argv);
}
