#include "sys/huge_pages.h"

#include <cerrno>

#include "tests/unit/sys/cgroup_fixture.h"

namespace tide::tests {
namespace {

class HugePagesTest : public CgroupFixture {};

TEST_F(HugePagesTest, OnlyAlwaysIsWithoutBeingAsked) {
  EXPECT_FALSE(sys::gives_huge_pages(root())) << "no such file";
  const auto set = [this](const char* text) {
    write("/sys/kernel/mm/transparent_hugepage/enabled", text);
    errno = 7777;
    const bool gives = sys::gives_huge_pages(root());
    EXPECT_EQ(errno, 7777);
    return gives;
  };
  EXPECT_TRUE(set("[always] madvise never\n"));
  EXPECT_FALSE(set("always [madvise] never\n"));
  EXPECT_FALSE(set("always madvise [never]\n"));
  EXPECT_FALSE(set(""));
}

// Those of systems with larger pages are of 32 MiB, or of 512.
TEST_F(HugePagesTest, OfAnotherSizeAreNoneOfOurs) {
  write("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
  write("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n");
  EXPECT_TRUE(sys::gives_huge_pages(root()));
  write("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "536870912\n");
  EXPECT_FALSE(sys::gives_huge_pages(root()));
}

}  // namespace
}  // namespace tide::tests
