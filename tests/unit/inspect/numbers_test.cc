#include "inspect/numbers.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace tide::inspect {
namespace {

template <class T>
Bytes bytes_of(const T& values) {
  return std::as_bytes(std::span(values));
}

std::vector<uint8_t> random_bytes(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

TEST(Numbers, Small) {
  const std::array<int32_t, 6> small = {1, -5, 70000, 12, 0, 3};
  const std::array<uint64_t, 4> wide = {1, 20'000'000, 3'000'000'000, 4};
  const std::array<double, 4> floating = {3.14, -2.5e6, 1e-3, 7.25};
  const std::array<float, 4> single = {3.14F, -2.5e6F, 1e-3F, 7.25F};
  EXPECT_TRUE(is_numbers(bytes_of(small)));
  EXPECT_TRUE(is_numbers(bytes_of(wide)));
  EXPECT_TRUE(is_numbers(bytes_of(floating)));
  EXPECT_TRUE(is_numbers(bytes_of(single)));
}

TEST(Numbers, NotRandomOnes) {
  EXPECT_FALSE(is_numbers(bytes_of(random_bytes(512, 1))));
  EXPECT_FALSE(is_numbers(bytes_of(std::array<uint64_t, 4>{})));
}

TEST(Numbers, RandomOfAnyLength) {
  for (const size_t count : {256, 300, 512, 700, 1024, 2048, 4096}) {
    for (unsigned seed = 0; seed < 50; ++seed) {
      EXPECT_TRUE(is_random(bytes_of(random_bytes(count, seed)))) << count << " " << seed;
    }
  }
  EXPECT_FALSE(is_random(bytes_of(random_bytes(255, 1))));
}

TEST(Numbers, TextAndCountersAreNotRandom) {
  std::string text;
  while (text.size() < 4096) text += "The quick brown fox jumps over the lazy dog. ";
  EXPECT_FALSE(is_random(bytes_of(text)));
  std::vector<uint32_t> counters(1024);
  for (uint32_t i = 0; i < counters.size(); ++i) counters[i] = i;
  EXPECT_FALSE(is_random(bytes_of(counters)));
  // Letters and digits alone, as mixed as can be.
  std::vector<uint8_t> letters = random_bytes(4096, 3);
  for (uint8_t& letter : letters) letter = static_cast<uint8_t>('0' + letter % 64);
  EXPECT_FALSE(is_random(bytes_of(letters)));
}

TEST(Numbers, FormatsByTheirBegin) {
  std::vector<uint8_t> bytes(64);
  EXPECT_EQ(packed_format(bytes_of(bytes)), "");
  bytes = {0x28, 0xb5, 0x2f, 0xfd};
  EXPECT_EQ(packed_format(bytes_of(bytes)), "");  // too short to be anything
  bytes.resize(64);
  EXPECT_EQ(packed_format(bytes_of(bytes)), "zstd");
}

}  // namespace
}  // namespace tide::inspect
