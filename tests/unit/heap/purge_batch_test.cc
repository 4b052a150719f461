// Ranges on their way back to the system: many by one call where it can, each known to be gone or
// not, whatever fails.
#include <gtest/gtest.h>
#include <cstring>
#include <vector>

#include "heap/purge_batch.h"
#include "tests/unit/fake_vm.h"

namespace tide::tests {
namespace {

using heap::kPurgeBytes;
using heap::kPurgeRanges;

FakeVm vm_of(FakeOs& os) {
  FakeOs::current() = &os;
  return {};
}

class PurgeBatch : public testing::Test {
 protected:
  static constexpr size_t kPages = 300;

  void SetUp() override {
    base = static_cast<unsigned char*>(vm.map(kPages * vm.page_size()));
    ASSERT_NE(base, nullptr);
    memset(base, 1, kPages * vm.page_size());
    os.let_purge_many();
    os.set_hook([this](const FakeOs::Event& event) { calls += event.call == VmCall::kPurge; });
  }

  uintptr_t page(size_t number) { return base::address_of(base) + number * vm.page_size(); }
  // Every other page of the first `count` pairs.
  void add_pages(heap::PurgeBatch<FakeVm>& batch, size_t count) {
    for (size_t i = 0; i < count; ++i) batch.add(page(2 * i), page(2 * i + 1));
    batch.flush();
  }
  bool is_zero(size_t number) { return *reinterpret_cast<unsigned char*>(page(number)) == 0; }

  FakeOs os;
  FakeVm vm = vm_of(os);
  unsigned char* base = nullptr;
  size_t calls = 0;
  heap::PurgeFigures figures{};
  heap::Purger<FakeVm> purger{vm, figures, false};
};

TEST_F(PurgeBatch, ManyRangesGoByFewCalls) {
  heap::PurgeBatch<FakeVm> batch(purger);
  add_pages(batch, 100);
  EXPECT_EQ(calls, (100 + kPurgeRanges - 1) / kPurgeRanges);
  EXPECT_EQ(figures.calls.load(), calls);
  EXPECT_EQ(figures.bytes.load(), 100 * vm.page_size());
  EXPECT_EQ(batch.gone_bytes(), 100 * vm.page_size());
  for (size_t i = 0; i < 200; ++i) ASSERT_EQ(is_zero(i), i % 2 == 0) << i;
  EXPECT_TRUE(batch.is_gone(page(199)));
}

TEST_F(PurgeBatch, NeighboursAreOneRange) {
  heap::PurgeBatch<FakeVm> batch(purger);
  for (size_t i = 0; i < 100; ++i) batch.add(page(i), page(i + 1));
  batch.flush();
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(batch.gone_bytes(), 100 * vm.page_size());
}

TEST_F(PurgeBatch, WhatOneCallLeavesGoesPieceByPiece) {
  os.fail_calls(os.calls() + 1);  // half of the ranges
  heap::PurgeBatch<FakeVm> batch(purger);
  add_pages(batch, 20);
  EXPECT_EQ(calls, 11u);
  EXPECT_EQ(batch.gone_bytes(), 20 * vm.page_size());
  for (size_t i = 0; i < 40; ++i) ASSERT_EQ(is_zero(i), i % 2 == 0) << i;
}

TEST_F(PurgeBatch, AfterARefusalNothingMoreIsTried) {
  os.fail_calls(os.calls() + 1, 2);
  heap::PurgeBatch<FakeVm> batch(purger);
  add_pages(batch, 100);
  EXPECT_EQ(calls, 2u);
  EXPECT_EQ(batch.gone_bytes(), kPurgeRanges / 2 * vm.page_size());
  for (size_t i = 0; i < 100; ++i) {
    ASSERT_EQ(batch.is_gone(page(2 * i + 1)), i < kPurgeRanges / 2) << i;
  }
}

TEST_F(PurgeBatch, ASystemWithoutSuchACallGetsOneForEach) {
  os.let_purge_many(false);
  heap::PurgeBatch<FakeVm> batch(purger);
  add_pages(batch, 100);
  EXPECT_EQ(calls, 100u);
  EXPECT_EQ(batch.gone_bytes(), 100 * vm.page_size());
}

TEST(PurgeBatchBytes, NoCallIsLongerThanItsBound) {
  FakeOs os;
  FakeVm vm = vm_of(os);
  os.let_purge_many();
  const size_t bytes = 3 * kPurgeBytes;
  auto* const memory = static_cast<unsigned char*>(vm.map(bytes));
  ASSERT_NE(memory, nullptr);
  const uintptr_t begin = base::address_of(memory);
  size_t longest = 0;
  size_t total = 0;
  os.set_hook([&](const FakeOs::Event& event) {
    if (event.call != VmCall::kPurge) return;
    longest = std::max(longest, event.bytes);
    total += event.bytes;
  });
  heap::PurgeFigures figures{};
  heap::Purger<FakeVm> purger{vm, figures, false};
  heap::PurgeBatch<FakeVm> batch(purger);
  const size_t step = size_t{300} << 10;
  batch.add(begin, begin + vm.page_size());
  for (size_t at = step; at + step <= 2 * kPurgeBytes; at += 2 * step) {
    batch.add(begin + at, begin + at + step);
  }
  batch.add(begin + 2 * kPurgeBytes, begin + bytes);
  batch.flush();
  EXPECT_LE(longest, kPurgeBytes);
  EXPECT_EQ(total, batch.gone_bytes());
}

}  // namespace
}  // namespace tide::tests
