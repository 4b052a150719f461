#include "heap/metadata.h"

#include "tests/unit/heap/os_fixture.h"

namespace tide::tests {
namespace {

class MetadataTest : public OsFixture {
 protected:
  heap::Limits limits;
  heap::Metadata<FakeVm> metadata;
};

TEST_F(MetadataTest, ZeroedAlignedAndApart) {
  Ranges seen;
  for (const size_t bytes : {1u, 64u, 65u, 4096u, 200'000u, 100'000u, 3u}) {
    auto* memory = static_cast<unsigned char*>(metadata.allocate(vm, limits, bytes));
    ASSERT_NE(memory, nullptr);
    const uintptr_t begin = base::address_of(memory);
    EXPECT_EQ(begin % 64, 0u);
    EXPECT_FALSE(seen.overlaps(begin, begin + bytes));
    EXPECT_TRUE(os.is_mapped(memory, bytes));
    seen.add(begin, begin + bytes);
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(memory[i], 0);
    memset(memory, 0xff, bytes);
  }
  EXPECT_EQ(metadata.mapped_bytes(), os.mapped_bytes());
}

TEST_F(MetadataTest, LargerThanAChunk) {
  void* const memory = metadata.allocate(vm, limits, size_t{1} << 20);
  ASSERT_NE(memory, nullptr);
  EXPECT_TRUE(os.is_mapped(memory, size_t{1} << 20));
}

TEST_F(MetadataTest, NullWithoutMemoryAndWorksAgainAfterwards) {
  os.fail_kind(VmCall::kMap);
  EXPECT_EQ(metadata.allocate(vm, limits, 64), nullptr);
  EXPECT_EQ(metadata.mapped_bytes(), 0u);
  os.heal();
  EXPECT_NE(metadata.allocate(vm, limits, 64), nullptr);
}

}  // namespace
}  // namespace tide::tests
