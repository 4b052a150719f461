#include "base/text.h"

#include <gtest/gtest.h>
#include <cinttypes>
#include <cstdio>

namespace tide::base {
namespace {

TEST(Text, NumbersAsPrintfWritesThem) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    for (const uint64_t around : {UINT64_MAX, uint64_t{0}, uint64_t{1}}) {
      const uint64_t value = (uint64_t{1} << bit) + around;
      char expected[64];
      snprintf(expected, sizeof expected, "%" PRIu64 " 0x%" PRIx64 " %" PRId64, value, value,
               static_cast<int64_t>(value));
      TextBuffer<64> text;
      text.decimal(value).put(' ').hex(value).put(' ').signed_decimal(static_cast<int64_t>(value));
      EXPECT_EQ(text.view(), expected);
      EXPECT_FALSE(text.truncated());
    }
  }
  TextBuffer<32> least;
  least.signed_decimal(INT64_MIN);
  EXPECT_EQ(least.view(), "-9223372036854775808");
}

TEST(Text, WhatDoesNotFitIsDropped) {
  TextBuffer<4> text;
  text.text("abcd");
  EXPECT_FALSE(text.truncated());
  text.put('e');
  EXPECT_TRUE(text.truncated());
  EXPECT_EQ(text.view(), "abcd");
  EXPECT_EQ(text.length(), 4u);
}

TEST(Text, WriterStaysInItsMemory) {
  char memory[] = "......";
  TextWriter writer(memory, 3);
  writer.decimal(123456);
  EXPECT_STREQ(memory, "123...");
  EXPECT_TRUE(writer.truncated());
}

}  // namespace
}  // namespace tide::base
