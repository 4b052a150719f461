// Many small pieces of a process's memory come by few calls, and each has its own bytes.
#include "walk/live_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>
#include <vector>

#include "host/error.h"
#include "host/proc.h"

namespace tide::tests {
namespace {

constexpr size_t kPage = 4096;

class LiveMemoryTest : public testing::Test {
 protected:
  LiveMemoryTest() : bytes(64 * kPage) {
    std::mt19937 random(7);
    for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
  }
  uint64_t at(size_t offset) const { return reinterpret_cast<uint64_t>(bytes.data()) + offset; }

  std::vector<unsigned char> bytes;
  const host::Proc proc;
  const walk::LiveMemory memory{proc, getpid()};
};

TEST_F(LiveMemoryTest, PiecesInAnyOrderAndDistance) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    const size_t most_step = size_t{1} << (1 + random() % 13);
    walk::ReadBatch batch;
    std::vector<size_t> offsets(1 + random() % 3000);
    std::vector<std::vector<unsigned char>> found;
    size_t offset = 0;
    for (size_t& each : offsets) {
      // Mostly ascending, some on each other.
      offset = random() % 16 == 0 ? random() % (bytes.size() / 2) : offset + random() % most_step;
      offset %= bytes.size() - 64;
      each = offset;
      found.emplace_back(1 + random() % 64);
    }
    for (size_t i = 0; i < offsets.size(); ++i) {
      batch.add_bytes(at(offsets[i]), found[i].data(), found[i].size());
    }
    if (round % 2 == 0) {
      batch.run(memory);
    } else {
      batch.run_sorted(memory);
    }
    for (size_t i = 0; i < offsets.size(); ++i) {
      ASSERT_TRUE(std::equal(found[i].begin(), found[i].end(), bytes.begin() + offsets[i]))
          << "round " << round << ", piece " << i;
    }
  }
}

// What lies between two pieces need not be there.
TEST_F(LiveMemoryTest, AHoleBetweenPieces) {
  auto* const pages = static_cast<unsigned char*>(
      mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(pages, MAP_FAILED);
  pages[kPage - 1] = 1;
  pages[2 * kPage] = 2;
  ASSERT_EQ(mprotect(pages + kPage, kPage, PROT_NONE), 0);
  ASSERT_EQ(munmap(pages + kPage, kPage), 0);
  unsigned char found[2] = {};
  walk::ReadBatch batch;
  batch.add(reinterpret_cast<uint64_t>(pages + kPage - 1), found[0]);
  batch.add(reinterpret_cast<uint64_t>(pages + 2 * kPage), found[1]);
  batch.run(memory);
  EXPECT_EQ(found[0], 1);
  EXPECT_EQ(found[1], 2);
  batch.add(reinterpret_cast<uint64_t>(pages + kPage - 1), found[0]);
  batch.add(reinterpret_cast<uint64_t>(pages + kPage), found[1]);
  EXPECT_THROW(batch.run(memory), host::Error);
  munmap(pages, kPage);
  munmap(pages + 2 * kPage, kPage);
}

}  // namespace
}  // namespace tide::tests
