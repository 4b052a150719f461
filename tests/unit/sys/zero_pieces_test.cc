#include "sys/zero_pieces.h"

#include <gtest/gtest.h>

namespace tide::sys {
namespace {

// With fewer than the processor has, too; where it has fewer, the same again.
class ZeroPieces : public testing::TestWithParam<Vectors> {
 protected:
  static constexpr size_t kPieces = 5;
  static constexpr size_t kBytes = kPieces * kZeroPieceBytes;

  void SetUp() override { choose_vectors(GetParam()); }
  void TearDown() override { choose_vectors(); }

  alignas(64) unsigned char bytes_[kBytes + 64] = {};
};

TEST_P(ZeroPieces, AllAreZero) {
  for (size_t bytes = 0; bytes <= kBytes; bytes += kZeroPieceBytes) {
    EXPECT_EQ(zero_pieces(bytes_ + 8, bytes), bytes);
  }
}

TEST_P(ZeroPieces, EveryByteIsLookedAt) {
  for (size_t at = 0; at < kBytes; ++at) {
    bytes_[8 + at] = 0x80;
    ASSERT_EQ(zero_pieces(bytes_ + 8, kBytes), at - at % kZeroPieceBytes) << at;
    bytes_[8 + at] = 0;
  }
}

TEST_P(ZeroPieces, WhatIsOutsideDoesNotMatter) {
  bytes_[7] = bytes_[8 + kBytes] = 1;
  EXPECT_EQ(zero_pieces(bytes_ + 8, kBytes), kBytes);
  for (size_t bytes = kLeastIsZeroBytes; bytes <= kBytes; bytes += 8) {
    EXPECT_TRUE(is_zero(bytes_ + 8, bytes)) << bytes;
  }
}

TEST_P(ZeroPieces, EveryByteOfEveryLengthIsLookedAt) {
  for (size_t bytes = kLeastIsZeroBytes; bytes <= 3 * kLeastIsZeroBytes; bytes += 8) {
    for (size_t at = 0; at < bytes; ++at) {
      bytes_[8 + at] = 0x01;
      ASSERT_FALSE(is_zero(bytes_ + 8, bytes)) << at << " of " << bytes;
      bytes_[8 + at] = 0;
    }
    bytes_[8 + bytes] = 0x01;
    ASSERT_TRUE(is_zero(bytes_ + 8, bytes)) << bytes;
    bytes_[8 + bytes] = 0;
  }
}

INSTANTIATE_TEST_SUITE_P(Vectors, ZeroPieces,
                         testing::Values(Vectors::kOfAll, Vectors::kWide, Vectors::kWidest));

}  // namespace
}  // namespace tide::sys
