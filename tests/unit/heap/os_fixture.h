// For tests of single parts of the heap: a FakeOs, a FakeVm on it and addresses to put windows at.
#pragma once

#include <gtest/gtest.h>

#include "tests/unit/fake_vm.h"

namespace tide::tests {

class OsFixture : public testing::Test {
 protected:
  OsFixture() : OsFixture(FakeOs::Options{}) {}
  explicit OsFixture(const FakeOs::Options& options) : os(options), vm(make_vm()) {}

  // A free range of addresses, aligned to 2 MiB.
  uintptr_t place(size_t bytes) {
    const uintptr_t found = vm.find_free(bytes + kAlignment);
    EXPECT_NE(found, 0u);
    return base::align_up(found, kAlignment);
  }

  FakeOs os;
  FakeVm vm;

 private:
  static constexpr size_t kAlignment = size_t{2} << 20;

  FakeVm make_vm() {
    FakeOs::current() = &os;
    return FakeVm();
  }
};

}  // namespace tide::tests
