// Giving memory back: only pages without a live block go, what is live stays as it is, and what was
// given back is known to be zero.
#include <gtest/gtest.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "tests/unit/engine_client.h"

namespace tide::tests {
namespace {

using heap::Released;

class EnginePurge : public testing::Test {
 protected:
  void SetUp() override {
    box.os.set_hook([this](const FakeOs::Event& event) {
      if (event.call == VmCall::kPurge) purged.push_back({event.address, event.bytes});
    });
  }

  size_t purged_bytes() const {
    size_t total = 0;
    for (const auto& [address, bytes] : purged) total += bytes;
    return total;
  }

  StartedBox box;
  std::vector<std::pair<uintptr_t, size_t>> purged;
};

TEST_F(EnginePurge, HolesGoLiveBlocksStay) {
  std::mt19937 random(4);
  for (const size_t most : {64u, 1000u, 9000u, 60'000u, 400'000u}) {
    std::map<unsigned char*, std::pair<size_t, unsigned char>> live;
    std::vector<void*> dead;
    for (int i = 0; i < 3000; ++i) {
      const size_t bytes = 1 + random() % most;
      auto* block = static_cast<unsigned char*>(box.client.allocate(bytes));
      ASSERT_NE(block, nullptr);
      const auto value = static_cast<unsigned char>(1 + random() % 255);
      memset(block, value, bytes);
      // Runs of dead blocks, so that there are holes of whole pages.
      if (i / 50 % 3 == 0) {
        live[block] = {bytes, value};
      } else {
        dead.push_back(block);
      }
    }
    for (void* block : dead) ASSERT_EQ(box.client.release(block), Released::kDone);
    purged.clear();
    const size_t said = box.client.purge();
    // Runs of the smallest blocks hold a whole page only by chance.
    if (most > 64) EXPECT_GT(said, 0u);
    EXPECT_GE(said, purged_bytes());
    for (const auto& [begin, bytes] : purged) {
      auto it = live.upper_bound(reinterpret_cast<unsigned char*>(begin));
      if (it != live.end()) {
        EXPECT_GE(base::address_of(it->first), begin + bytes);
      }
      if (it != live.begin()) {
        --it;
        EXPECT_LE(base::address_of(it->first) + it->second.first, begin);
      }
    }
    for (const auto& [block, what] : live) {
      const unsigned char value = what.second;
      ASSERT_TRUE(std::all_of(block, block + what.first, [&](auto byte) { return byte == value; }));
    }
    box.engine->verify();
    for (const auto& [block, what] : live) ASSERT_EQ(box.client.release(block), Released::kDone);
  }
}

TEST_F(EnginePurge, SecondPurgeHasNothingToDo) {
  std::vector<void*> blocks;
  for (int i = 0; i < 2000; ++i) {
    blocks.push_back(box.client.allocate(1 + i * 31 % 5000));
    memset(blocks.back(), 1, 1);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 100 != 0) box.client.release(blocks[i]);
  }
  EXPECT_GT(box.client.purge(), 0u);
  const uint64_t calls = box.os.calls();
  EXPECT_EQ(box.client.purge(), 0u);
  EXPECT_EQ(box.os.calls(), calls) << "no system call for nothing";
}

TEST_F(EnginePurge, ZeroedAfterwardsWritesNothingAndIsZero) {
  for (const size_t bytes : {4096u, 16'384u, 65'536u}) {
    std::vector<void*> blocks;
    for (int i = 0; i < 200; ++i) {
      blocks.push_back(box.client.allocate(bytes));
      memset(blocks.back(), 0xff, bytes);
    }
    for (size_t i = 1; i < blocks.size(); ++i) box.client.release(blocks[i]);
    box.client.purge();
    for (int i = 0; i < 200; ++i) {
      auto* block = static_cast<unsigned char*>(box.client.allocate_zeroed(bytes));
      for (size_t j = 0; j < bytes; ++j) ASSERT_EQ(block[j], 0);
    }
  }
}

// MADV_FREE: what was in the pages may still be there.
TEST_F(EnginePurge, LazilyGivenBackIsNotTakenForZero) {
  box.engine->config().purge_lazily = true;
  for (const size_t bytes : {1000u, 4096u, 65'536u, 300'000u}) {
    std::vector<void*> blocks;
    for (int i = 0; i < 100; ++i) {
      blocks.push_back(box.client.allocate(bytes));
      memset(blocks.back(), 0xff, bytes);
    }
    for (size_t i = 0; i < blocks.size(); i += i % 7 == 0 ? 2 : 1) box.client.release(blocks[i]);
    EXPECT_GT(box.client.purge(), 0u);
    for (int i = 0; i < 100; ++i) {
      auto* block = static_cast<unsigned char*>(box.client.allocate_zeroed(bytes));
      for (size_t j = 0; j < bytes; ++j) ASSERT_EQ(block[j], 0) << bytes;
    }
  }
  box.engine->verify();
}

// With nothing live, everything that could be resident goes.
TEST_F(EnginePurge, NothingLiveNothingDirty) {
  std::vector<void*> blocks;
  for (int i = 0; i < 5000; ++i) {
    const size_t bytes = static_cast<size_t>(i) * 7919 % 100'000;
    blocks.push_back(box.client.allocate(bytes));
    memset(blocks.back(), 1, bytes);
  }
  blocks.push_back(box.client.allocate(size_t{50} << 20));
  for (void* block : blocks) box.client.release(block);
  box.client.purge();
  heap::Stats stats;
  box.engine->collect_stats(stats);
  EXPECT_EQ(stats.live_blocks, 0u);
  EXPECT_EQ(stats.cached_bytes, 0u);
  EXPECT_EQ(stats.free_dirty_bytes, 0u);
  EXPECT_EQ(stats.huge_cached_bytes, 0u);
}

// A page that was given back and written to again can be given back again.
TEST_F(EnginePurge, PagesGoAgainAfterReuse) {
  void* const pin = box.client.allocate(1024);
  std::vector<void*> blocks;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 40 + round; ++i) {
      blocks.push_back(box.client.allocate(1024));
      memset(blocks.back(), 1, 1024);
    }
    for (void* block : blocks) box.client.release(block);
    const size_t written = blocks.size() * 1024;
    blocks.clear();
    EXPECT_GE(box.client.purge() + 8192, written) << "round " << round;
  }
  box.client.release(pin);
}

TEST_F(EnginePurge, RefusedPurgeLosesNothingAndIsTriedAgain) {
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) {
    blocks.push_back(box.client.allocate(1000));
    memset(blocks.back(), 0xab, 1000);
  }
  for (size_t i = 1; i + 1 < blocks.size(); ++i) box.client.release(blocks[i]);
  box.os.fail_kind(VmCall::kPurge);
  EXPECT_EQ(box.client.purge(), 0u);
  box.engine->verify();
  for (int i = 0; i < 100; ++i) {
    auto* block = static_cast<unsigned char*>(box.client.allocate_zeroed(1000));
    for (size_t j = 0; j < 1000; ++j) ASSERT_EQ(block[j], 0) << "not purged, so not known zero";
    box.client.release(block);
  }
  box.os.heal();
  EXPECT_GT(box.client.purge(), size_t{500'000});
}

// As with memory that is locked: the system refuses, again and again, and purge must come to an
// end, however many holes there are.
TEST_F(EnginePurge, EndsWhenTheSystemRefusesEverything) {
  std::vector<void*> blocks;
  for (int i = 0; i < 2000; ++i) {
    blocks.push_back(box.client.allocate(4096));
    memset(blocks.back(), 1, 4096);
  }
  for (size_t i = 0; i < blocks.size(); i += 2) box.client.release(blocks[i]);
  box.os.fail_kind(VmCall::kPurge);
  alarm(100);
  EXPECT_EQ(box.client.purge(), 0u);
  alarm(0);
  box.engine->verify();
}

// While the pages of a run are given back, another thread takes the block right behind the last one
// that was ever used: it may share a page with the run.
TEST_F(EnginePurge, BlockCarvedMeanwhileKeepsItsContents) {
  for (const size_t bytes : {16u, 48u, 176u, 320u, 1024u}) {
    StartedBox here;
    Client other(*here.engine, false);
    // As many as end in the middle of a page.
    std::vector<void*> blocks;
    for (size_t i = 0; i < 2 * 4096 / bytes + 3; ++i) {
      void* block = other.allocate(bytes);
      memset(block, 1, bytes);
      blocks.push_back(block);
    }
    for (void* block : blocks) {
      if (block != blocks.front()) other.release(block);
    }
    std::vector<unsigned char*> fresh;
    here.os.set_hook([&](const FakeOs::Event& event) {
      if (event.call != VmCall::kPurge || !fresh.empty()) return;
      for (int i = 0; i < 3; ++i) {
        fresh.push_back(static_cast<unsigned char*>(other.allocate(bytes)));
        memset(fresh.back(), 0xcd, bytes);
      }
    });
    here.client.purge();
    here.os.set_hook(nullptr);
    ASSERT_FALSE(fresh.empty());
    for (const unsigned char* block : fresh) {
      for (size_t i = 0; i < bytes; ++i) {
        ASSERT_EQ(block[i], 0xcd) << "a live block of " << bytes << " bytes lost its contents";
      }
    }
    here.engine->verify();
  }
}

// Any allocation at all in the middle of giving pages back.
TEST_F(EnginePurge, AllocationsMeanwhileKeepTheirContents) {
  StartedBox here;
  Client other(*here.engine);
  std::mt19937 random(8);
  std::vector<void*> blocks;
  for (int i = 0; i < 4000; ++i) {
    const size_t bytes = 1 + random() % (i % 50 == 0 ? 200'000 : 6000);
    blocks.push_back(here.client.allocate(bytes));
    memset(blocks.back(), 1, bytes);
  }
  std::map<unsigned char*, size_t> live;
  here.os.set_hook([&](const FakeOs::Event& event) {
    if (event.call != VmCall::kPurge || live.size() > 5000) return;
    for (int i = 0; i < 20; ++i) {
      const size_t bytes = 1 + random() % (i == 0 ? 100'000 : 3000);
      auto* block = static_cast<unsigned char*>(other.allocate(bytes));
      ASSERT_NE(block, nullptr);
      memset(block, 0xcd, bytes);
      live[block] = bytes;
    }
  });
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i / 30 % 4 != 0) here.client.release(blocks[i]);
  }
  here.client.purge();
  here.client.purge();
  here.os.set_hook(nullptr);
  EXPECT_GT(live.size(), 100u);
  for (const auto& [block, bytes] : live) {
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(block[i], 0xcd);
  }
  here.engine->verify();
}

// New slabs of the small zone come between it and the mid zone while the purge is on its way from
// one to the other.
TEST_F(EnginePurge, AZoneThatGrowsMeanwhileIsNotTakenForTheOther) {
  StartedBox here;
  Client other(*here.engine, false);
  std::vector<unsigned char*> live;
  const auto fill = [&](size_t bytes, size_t count) {
    std::vector<void*> blocks;
    for (size_t i = 0; i < count; ++i) {
      blocks.push_back(other.allocate(bytes));
      memset(blocks.back(), 0xcd, bytes);
    }
    for (size_t i = 0; i < count; ++i) {
      if (i % 8 != 0) {
        other.release(blocks[i]);
      } else {
        live.push_back(static_cast<unsigned char*>(blocks[i]));
      }
    }
  };
  fill(1000, 3000);
  fill(20'000, 4000);
  bool has_grown = false;
  here.os.set_hook([&](const FakeOs::Event& event) {
    if (event.call != VmCall::kPurge || has_grown) return;
    has_grown = true;
    fill(1000, 3000);
  });
  here.engine->purge_to(here.client.cache(), 0);
  here.os.set_hook(nullptr);
  EXPECT_TRUE(has_grown);
  for (const unsigned char* block : live) {
    const size_t bytes = here.engine->usable_bytes(block) < 20'000 ? 1000 : 20'000;
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(block[i], 0xcd);
  }
  here.engine->verify();
}

// Whoever finds no memory waits for what another thread is just giving back.
TEST_F(EnginePurge, WhatIsBeingGivenBackIsNotMissing) {
  StartedBox here;
  Client other(*here.engine);
  std::vector<void*> blocks;
  for (int i = 0; i < 20'000; ++i) blocks.push_back(here.client.allocate(1000));
  for (void* block : blocks) here.client.release(block);
  std::mutex room_lock;
  size_t room = 0;  // the system has no more than what is unmapped from now on
  void* block = nullptr;
  std::atomic<bool> is_done{false};
  std::thread thread;
  here.os.set_hook([&](const FakeOs::Event& event) {
    {
      const std::lock_guard guard(room_lock);
      if (event.call == VmCall::kUnmap) room += event.bytes;
      if (event.call == VmCall::kMap || event.call == VmCall::kMapAt) {
        here.os.fail_kind(event.call, event.bytes > room);
        if (event.bytes <= room) room -= event.bytes;
      }
    }
    if (event.call != VmCall::kPurge || thread.joinable()) return;
    thread = std::thread([&] {
      block = other.allocate(3'000'000);
      is_done = true;
    });
    // It must not come back without a block before this purge is over: as long as it waits.
    for (int i = 0; i < 200 && !is_done; ++i) usleep(1000);
  });
  here.engine->purge(here.client.cache());
  ASSERT_TRUE(thread.joinable());
  thread.join();
  here.os.set_hook(nullptr);
  here.os.heal();
  EXPECT_NE(block, nullptr);
  other.release(block);
  here.engine->verify();
}

}  // namespace
}  // namespace tide::tests
