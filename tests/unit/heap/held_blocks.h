// Many blocks at once, for tests of what an engine holds and gives back.
#pragma once

#include <gtest/gtest.h>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/unit/engine_client.h"

namespace tide::tests {

inline heap::Stats stats_of(FakeEngine& engine) {
  heap::Stats stats;
  engine.collect_stats(stats);
  return stats;
}

// Allocates and writes until there is no more, at most `most_bytes`.
inline std::vector<void*> fill(Client& client, size_t bytes, size_t most_bytes = SIZE_MAX) {
  std::vector<void*> blocks;
  for (size_t sum = 0; sum < most_bytes; sum += bytes) {
    void* const block = client.allocate(bytes);
    if (block == nullptr) break;
    memset(block, 0x5a, bytes);
    blocks.push_back(block);
  }
  return blocks;
}

inline void release_all(Client& client, const std::vector<void*>& blocks) {
  for (void* block : blocks) ASSERT_EQ(client.release(block), heap::Released::kDone);
}

}  // namespace tide::tests
