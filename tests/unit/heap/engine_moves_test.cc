// Pages go from a zone that has too many to one that grows, and nothing is lost on the way.
#include <gtest/gtest.h>
#include <cstring>
#include <utility>
#include <vector>

#include "heap/page_moves.h"
#include "tests/unit/engine_client.h"
#include "tests/unit/heap/held_blocks.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

constexpr size_t kSizes[] = {200, 4000, 700'000};  // of the small, the mid and the large zone

void check_filled(const std::vector<void*>& blocks, size_t bytes) {
  for (void* block : blocks) {
    const auto* const written = static_cast<unsigned char*>(block);
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(written[i], 0x5a);
  }
}

uint64_t moves(EngineBox& box) { return box.os.calls(VmCall::kMovePages); }

class EngineMoves : public testing::TestWithParam<std::pair<size_t, size_t>> {
 protected:
  size_t from() const { return kSizes[GetParam().first]; }
  size_t to() const { return kSizes[GetParam().second]; }

  // Leaves 40 MiB of dirty memory in the one zone.
  void leave_dirty(size_t bytes) { release_all(box.client, fill(box.client, bytes, 40 * kMiB)); }

  StartedBox box;
};

TEST_P(EngineMoves, GrowthTakesPagesOfTheOtherZone) {
  leave_dirty(from());
  const size_t resident = box.os.resident_bytes();
  const auto blocks = fill(box.client, to(), 28 * kMiB);
  // Small slabs are made resident ahead as well.
  EXPECT_GE(moves(box) * heap::kMoveBytes, (to() == kSizes[0] ? 6 : 10) * kMiB);
  EXPECT_LE(box.os.resident_bytes(), resident + 6 * kMiB);
  check_filled(blocks, to());
  box.engine->verify();
  release_all(box.client, blocks);
  box.engine->verify();
}

// What has moved is not zero, and where it was is.
TEST_P(EngineMoves, ZeroedBlocksAreZero) {
  for (int round = 0; round < 2; ++round) {
    leave_dirty(from());
    for (const size_t bytes : {to(), from()}) {
      std::vector<void*> blocks;
      for (size_t total = 0; total < 20 * kMiB; total += bytes) {
        auto* const block = static_cast<unsigned char*>(box.client.allocate_zeroed(bytes));
        for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(block[i], 0) << bytes << " at " << i;
        memset(block, 0xa5, bytes);
        blocks.push_back(block);
      }
      release_all(box.client, blocks);
    }
  }
  EXPECT_GT(moves(box), 0u);
  box.engine->verify();
}

// The first refused one leaves all as it was, of the second one the destination is lost.
TEST_P(EngineMoves, RefusedOnesAreNoHarm) {
  leave_dirty(from());
  box.os.fail_kind(VmCall::kMovePages);
  const auto blocks = fill(box.client, to(), 28 * kMiB);
  EXPECT_EQ(moves(box), heap::PageMoves::kMostFailures) << "then it is given up";
  check_filled(blocks, to());
  box.engine->verify();
  box.os.fail_kind(VmCall::kMovePages, false);
  release_all(box.client, blocks);
  release_all(box.client, fill(box.client, to(), 60 * kMiB));
  release_all(box.client, fill(box.client, from(), 60 * kMiB));
  EXPECT_EQ(moves(box), heap::PageMoves::kMostFailures);
  box.engine->verify();
}

// What the system does not want to have in cores again stays where it is.
TEST_P(EngineMoves, PagesThatCoresDoNotHaveStay) {
  leave_dirty(from());
  box.client.purge();
  ASSERT_GE(box.os.left_out().bytes(), 30 * kMiB);
  box.os.fail_kind(VmCall::kSetDumped);
  leave_dirty(from());
  const Ranges left_out = box.os.left_out();
  for (void* block : fill(box.client, to(), 28 * kMiB)) {
    const uintptr_t begin = base::address_of(block);
    EXPECT_FALSE(left_out.overlaps(begin, begin + to()));
    EXPECT_FALSE(box.os.left_out().overlaps(begin, begin + to()));
  }
}

// Not only the pages leave a zone, but what its records need for them.
TEST_P(EngineMoves, NothingStaysBehind) {
  leave_dirty(from());
  release_all(box.client, fill(box.client, to(), 28 * kMiB));
  EXPECT_GT(moves(box), 0u);
  box.client.purge();
  EXPECT_LE(box.os.resident_bytes(), kMiB / 2);
}

TEST_P(EngineMoves, AreNoneWhereNothingIsGivenBack) {
  box.engine->config().purge = false;
  leave_dirty(from());
  release_all(box.client, fill(box.client, to(), 28 * kMiB));
  EXPECT_EQ(moves(box), 0u);
}

INSTANTIATE_TEST_SUITE_P(BothWays, EngineMoves,
                         testing::Values(std::pair{0, 1}, std::pair{0, 2}, std::pair{1, 0},
                                         std::pair{1, 2}, std::pair{2, 0}, std::pair{2, 1}));

// Whole pages only, of whatever size; FakeOs looks.
class MovesOfPages : public testing::TestWithParam<size_t> {};

TEST_P(MovesOfPages, AreOfWholeOnes) {
  StartedBox box({.page_bytes = GetParam()});
  // The one zone needs more than the other ever had.
  release_all(box.client, fill(box.client, kSizes[0], 20 * kMiB));
  release_all(box.client, fill(box.client, kSizes[1], 40 * kMiB));
  release_all(box.client, fill(box.client, kSizes[2], 60 * kMiB));
  const auto blocks = fill(box.client, kSizes[0], 80 * kMiB);
  EXPECT_GT(moves(box), 30u);
  check_filled(blocks, kSizes[0]);
  release_all(box.client, blocks);
  box.engine->verify();
}

INSTANTIATE_TEST_SUITE_P(Sizes, MovesOfPages, testing::Values(4096, 16384, 65536));

TEST(PageMoves, ComeToAFewSteps) {
  heap::PageMoves moves;
  for (size_t i = 0; i < heap::PageMoves::kMostSteps; ++i) {
    EXPECT_TRUE(moves.enter(1 + i % 3, 3 * i * heap::kMoveBytes));
  }
  EXPECT_FALSE(moves.enter(1, heap::kMoveBytes));
  EXPECT_TRUE(moves.enter(1, 0)) << "again";
  EXPECT_FALSE(moves.enter(2, 0));
  EXPECT_FALSE(heap::PageMoves().enter(1, heap::DumpSteps::kSteps * heap::kMoveBytes));
}

}  // namespace
}  // namespace tide::tests
