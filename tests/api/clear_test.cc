#include "api/clear.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

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

}  // namespace
}  // namespace tide::api
