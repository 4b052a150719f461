#include "heap/window.h"

#include "tests/unit/heap/os_fixture.h"

namespace tide::tests {
namespace {

using sys::MapResult;

class WindowTest : public OsFixture {
 protected:
  static constexpr size_t kCapacity = size_t{1} << 20;

  void SetUp() override {
    base = place(kCapacity);
    window.place(vm, base, kCapacity);
  }

  uintptr_t base = 0;
  heap::Window<FakeVm> window;
};

TEST_F(WindowTest, MapsOnlyWhatIsAskedForInWholePages) {
  EXPECT_EQ(window.end(), 0u);
  EXPECT_EQ(window.cover(vm, 1), MapResult::kOk);
  EXPECT_EQ(window.end(), 4096u);
  EXPECT_EQ(window.cover(vm, 4096), MapResult::kOk);
  EXPECT_EQ(os.calls(VmCall::kMapAt), 1u);
  EXPECT_EQ(window.cover(vm, 10'000), MapResult::kOk);
  EXPECT_EQ(window.end(), 12288u);
  EXPECT_EQ(window.mapped(), 12288u);
  EXPECT_EQ(os.mapped_bytes(), 12288u);
  memset(reinterpret_cast<void*>(base), 1, 12288);
}

TEST_F(WindowTest, EndsAtItsCapacity) {
  EXPECT_EQ(window.cover(vm, kCapacity + 1), MapResult::kNoMemory);
  EXPECT_EQ(os.calls(VmCall::kMapAt), 0u);
  EXPECT_EQ(window.cover(vm, kCapacity), MapResult::kOk);
  EXPECT_EQ(window.take_beyond(vm, kCapacity, 4096).bytes, 0u);
}

TEST_F(WindowTest, RefusalChangesNothing) {
  ASSERT_EQ(window.cover(vm, 4096), MapResult::kOk);
  os.fail_kind(VmCall::kMapAt);
  EXPECT_EQ(window.cover(vm, 8192), MapResult::kNoMemory);
  EXPECT_EQ(window.end(), 4096u);
  os.heal();
  EXPECT_EQ(window.cover(vm, 8192), MapResult::kOk);
}

TEST_F(WindowTest, GoesRoundWhatOthersHaveMapped) {
  ASSERT_EQ(window.cover(vm, 4096), MapResult::kOk);
  os.take_place(base + 8192, 4096);
  EXPECT_EQ(window.cover(vm, 12288), MapResult::kTaken);
  EXPECT_EQ(window.end(), 4096u);
  const auto piece = window.take_beyond(vm, 4096, 8192);
  EXPECT_EQ(piece.begin, 12288u);
  EXPECT_EQ(piece.bytes, 8192u);
  window.end_with(piece);
  EXPECT_EQ(window.cover(vm, 24576), MapResult::kOk);
  EXPECT_EQ(window.end(), 24576u);
  EXPECT_EQ(window.mapped(), 16384u) << "what others have mapped is not ours";
}

TEST_F(WindowTest, APieceThatCantBeUsedIsKept) {
  ASSERT_EQ(window.cover(vm, 4096), MapResult::kOk);
  os.take_place(base + 4096, 4096);
  const auto piece = window.take_beyond(vm, 4096, 4096);
  ASSERT_EQ(piece.begin, 8192u);
  window.keep(piece);
  const uint64_t calls = os.calls();
  EXPECT_EQ(window.take_beyond(vm, 4096, 8192).begin, piece.begin);
  EXPECT_EQ(os.calls(), calls);
  EXPECT_EQ(window.mapped(), os.mapped_bytes());
}

TEST_F(WindowTest, GivesUpSoonWhereEverythingIsTaken) {
  ASSERT_EQ(window.cover(vm, 4096), MapResult::kOk);
  os.take_place(base + 4096, kCapacity - 4096);
  const uint64_t calls = os.calls();
  EXPECT_EQ(window.take_beyond(vm, 4096, 4096).bytes, 0u);
  EXPECT_LE(os.calls(), calls + 16);
  EXPECT_EQ(window.end(), 4096u);
  EXPECT_EQ(window.mapped(), 4096u);
}

TEST_F(WindowTest, AnotherPlaceStartsAfresh) {
  ASSERT_EQ(window.cover(vm, 8192), MapResult::kOk);
  const uintptr_t other = place(kCapacity);
  window.place(vm, other, kCapacity);
  ASSERT_EQ(window.cover(vm, 8192), MapResult::kOk);
  EXPECT_TRUE(os.is_mapped(reinterpret_cast<void*>(other), 8192))
      << "a window that is placed anew takes old mappings for its own";
}

}  // namespace
}  // namespace tide::tests
