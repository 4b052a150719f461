#include "preload/bootstrap.h"

#include <gtest/gtest.h>

#include "base/align.h"

namespace tide::preload {
namespace {

TEST(Bootstrap, AddressesAreAligned) {
  for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
    void* const block = bootstrap_allocate(alignment, 100);
    ASSERT_NE(block, nullptr) << alignment;
    EXPECT_EQ(base::address_of(block) % alignment, 0u) << alignment;
    EXPECT_EQ(bootstrap_usable_size(block), 100u);
    EXPECT_TRUE(is_bootstrap(block));
  }
}

}  // namespace
}  // namespace tide::preload
