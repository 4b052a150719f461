#include "sys/zero_pieces.h"

#include <gtest/gtest.h>

namespace tide::sys {
namespace {

class ZeroPieces : public testing::TestWithParam<bool> {
 protected:
  static constexpr size_t kPieces = 5;
  static constexpr size_t kBytes = kPieces * kZeroPieceBytes;

  void SetUp() override {
    if (GetParam()) choose_vectors();
  }

  alignas(64) unsigned char bytes_[kBytes + 64] = {};
};

TEST_P(ZeroPieces, AllAreZero) {
  for (size_t bytes = 0; bytes <= kBytes; bytes += kZeroPieceBytes) {
    EXPECT_EQ(zero_pieces(bytes_ + 16, bytes), bytes);
  }
}

TEST_P(ZeroPieces, EveryByteIsLookedAt) {
  for (size_t at = 0; at < kBytes; ++at) {
    bytes_[16 + at] = 0x80;
    ASSERT_EQ(zero_pieces(bytes_ + 16, kBytes), at - at % kZeroPieceBytes) << at;
    bytes_[16 + at] = 0;
  }
}

TEST_P(ZeroPieces, WhatIsOutsideDoesNotMatter) {
  bytes_[15] = bytes_[16 + kBytes] = 1;
  EXPECT_EQ(zero_pieces(bytes_ + 16, kBytes), kBytes);
}

// The first as on any processor: the choice is not made yet.
INSTANTIATE_TEST_SUITE_P(Vectors, ZeroPieces, testing::Values(false, true));

}  // namespace
}  // namespace tide::sys
