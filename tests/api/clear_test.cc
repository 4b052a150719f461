#include "api/clear.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "api/seal.h"
#include "sys/zero_pieces.h"

namespace tide::api {
namespace {

constexpr size_t kRoom = size_t{48} << 10;
constexpr unsigned char kOutside = 0x5a;

// Clears `bytes` from `first` on, of which some were written; everything else stays as it was.
void expect_cleared(size_t first, size_t bytes, std::mt19937& random) {
  std::vector<unsigned char> memory(kRoom + 8192, kOutside);
  const size_t page = 4096 - reinterpret_cast<uintptr_t>(memory.data()) % 4096;
  unsigned char* const block = memory.data() + page + first;
  std::fill_n(block, bytes, 0);
  for (uint32_t written = random() % 6; written != 0; --written) {
    const size_t at = random() % bytes;
    const size_t length = random() % 2 != 0 ? 1 : 1 + random() % (bytes - at);
    std::fill_n(block + at, length, static_cast<unsigned char>(1 + random() % 255));
  }
  clear_block(block, bytes);
  for (size_t i = 0; i < memory.size(); ++i) {
    const bool inside = i - (page + first) < bytes;
    ASSERT_EQ(memory[i], inside ? 0 : kOutside) << i << " of " << bytes << " from " << first;
  }
}

void try_all_lengths(unsigned seed) {
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    const size_t first = random() % 256 * 16;
    const size_t bytes = 8 + random() % (kRoom - 4096) / 8 * 8;
    expect_cleared(first, round % 3 == 0 ? 8 + bytes % 600 / 8 * 8 : bytes, random);
  }
}

TEST(Clear, AnyLengthAndPlaceWithAnyVectors) {
  try_all_lengths(1);
  sys::choose_vectors();
  try_all_lengths(2);
}

// Of every length that takes another path, each byte counts and none outside does.
TEST(Clear, EveryShortLengthToTheByte) {
  for (size_t bytes = 8; bytes <= 1200; bytes += 8) {
    std::vector<unsigned char> memory(bytes + 128, kOutside);
    unsigned char* const block = memory.data() + 64;
    clear_any_block(block, bytes);
    for (size_t i = 0; i < memory.size(); ++i) {
      ASSERT_EQ(memory[i], i - 64 < bytes ? 0 : kOutside) << i << " of " << bytes;
    }
    ASSERT_TRUE(all_zero(block, bytes)) << bytes;
    for (size_t i = 0; i < bytes; ++i) {
      block[i] = 1;
      ASSERT_FALSE(all_zero(block, bytes)) << i << " of " << bytes;
      block[i] = 0;
    }
  }
}

TEST(Clear, EverySlackToTheByte) {
  constexpr uint64_t kSecret = 0x1234567890abcdef;
  for (size_t room = 8; room <= 200; room += 8) {
    for (size_t bytes = 1; bytes <= room; ++bytes) {
      std::vector<unsigned char> memory(room + 128, kOutside);
      unsigned char* const block = memory.data() + 64;
      std::fill_n(block, room + kSealBytes, 0);
      put_seal_on_zero(kSecret, block, room, bytes, Origin::kNew);
      std::fill_n(block, bytes, 0xff);
      Seal seal;
      ASSERT_TRUE(read_seal(kSecret, block, room, seal));
      ASSERT_EQ(seal.slack, room - bytes);
      ASSERT_EQ(seal.origin, Origin::kNew);
      ASSERT_TRUE(has_slack(block, room, seal.slack)) << bytes << " of " << room;
      for (size_t i = bytes; i < room; ++i) {
        const unsigned char was = block[i];
        block[i] = 0;
        ASSERT_FALSE(has_slack(block, room, seal.slack)) << i << ", " << bytes << " of " << room;
        block[i] = was;
      }
      for (size_t i = 0; i < 64; ++i) ASSERT_EQ(memory[i], kOutside);
      for (size_t i = 64 + room + kSealBytes; i < memory.size(); ++i) {
        ASSERT_EQ(memory[i], kOutside);
      }
    }
  }
}

}  // namespace
}  // namespace tide::api
