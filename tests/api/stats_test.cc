// Figures: the struct, JSON, text, and the C library's forms of them. All must tell the truth about
// blocks that the test holds.
#include <errno.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tide/tide.h"

namespace {

// Blocks of one size, freed at the end. Room for them is there before figures are taken.
class Blocks {
 public:
  Blocks(size_t count, size_t size) : blocks_(count), size_(size) {}
  ~Blocks() { release(); }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  void fill() {
    for (void*& p : blocks_) {
      p = malloc(size_);
      memset(p, 1, size_);
    }
  }
  void release() { release_all_but_every(SIZE_MAX); }
  void release_all_but_every(size_t nth) {
    for (size_t i = 0; i < blocks_.size(); ++i) {
      if (i % nth == nth - 1) continue;
      free(blocks_[i]);
      blocks_[i] = nullptr;
    }
  }

 private:
  std::vector<void*> blocks_;
  size_t size_;
};

tide_stats stats_now() {
  tide_stats stats{};
  EXPECT_EQ(tide_stats_get(&stats, sizeof stats), 0);
  return stats;
}

TEST(Stats, TheStructIsVersioned) {
  tide_stats stats;
  memset(&stats, 0xee, sizeof stats);
  EXPECT_EQ(tide_stats_get(&stats, 4), EINVAL);
  const size_t old_size = offsetof(tide_stats, cached_bytes);
  EXPECT_EQ(tide_stats_get(&stats, old_size), 0);
  EXPECT_EQ(stats.version, static_cast<uint32_t>(TIDE_STATS_VERSION));
  EXPECT_EQ(stats.size, old_size);
  EXPECT_GT(stats.live_blocks, 0u);
  EXPECT_EQ(stats.cached_bytes, 0xeeeeeeeeeeeeeeeeu);
  EXPECT_EQ(tide_stats_get(&stats, sizeof stats + 1000), 0);
  EXPECT_EQ(stats.size, sizeof stats);
}

TEST(Stats, FollowTheBlocks) {
  for (const size_t size : {size_t{100}, size_t{3000}, size_t{60000}, size_t{100000},
                            size_t{200000}, size_t{2} << 20, size_t{40} << 20}) {
    const size_t count = size < 100000 ? 1000 : 10;
    const size_t usable = tide_good_size(size);
    Blocks blocks(count, size);
    const tide_stats before = stats_now();
    blocks.fill();
    const tide_stats during = stats_now();
    blocks.release();
    const tide_stats after = stats_now();
    EXPECT_EQ(during.live_blocks, before.live_blocks + count) << size;
    EXPECT_EQ(during.live_bytes, before.live_bytes + count * usable) << size;
    EXPECT_EQ(after.live_blocks, before.live_blocks) << size;
    EXPECT_EQ(after.live_bytes, before.live_bytes) << size;
    const bool huge = size > (size_t{32} << 20);
    const bool large = size > 65536 && !huge;  // of such lengths as no slab is filled by
    EXPECT_EQ(during.large_live_blocks - before.large_live_blocks, large ? count : 0) << size;
    EXPECT_EQ(during.huge_live_blocks - before.huge_live_blocks, huge ? count : 0) << size;
    EXPECT_EQ(during.huge_live_bytes - before.huge_live_bytes, huge ? count * usable : 0) << size;
  }
}

TEST(Stats, TheSumsAddUp) {
  Blocks blocks(5000, 777);
  blocks.fill();
  const tide_stats stats = stats_now();
  EXPECT_EQ(stats.mapped_bytes, stats.live_bytes + stats.cached_bytes + stats.free_dirty_bytes +
                                    stats.returned_bytes + stats.metadata_bytes);
  const size_t count = tide_class_stats_get(nullptr, 0);
  std::vector<tide_class_stats> classes(count + 5);
  EXPECT_EQ(tide_class_stats_get(classes.data(), classes.size()), count);
  uint64_t live = 0;
  for (size_t i = 0; i < count; ++i) {
    EXPECT_GT(classes[i].block_bytes, i > 0 ? classes[i - 1].block_bytes : 0);
    if (classes[i].block_bytes == tide_good_size(777)) {
      EXPECT_GE(classes[i].live_blocks, 5000u);
    }
    live += classes[i].live_blocks * classes[i].block_bytes;
  }
  const tide_stats now = stats_now();
  EXPECT_EQ(live + now.large_live_bytes + now.huge_live_bytes, now.live_bytes);
}

TEST(Stats, PurgesAreCounted) {
  Blocks blocks(20000, 1000);
  blocks.fill();
  blocks.release_all_but_every(16);
  const tide_stats before = stats_now();
  EXPECT_EQ(tide_malloc_trim(0), 1);
  const tide_stats after = stats_now();
  EXPECT_GE(after.purged_bytes, before.purged_bytes + (size_t{10} << 20));
  EXPECT_GT(after.purge_calls, before.purge_calls);
  EXPECT_GE(after.returned_bytes, before.returned_bytes + (size_t{10} << 20));
}

TEST(Stats, JsonParsesAndAgrees) {
  const size_t length = tide_stats_json(nullptr, 0);
  std::vector<char> buffer(length + 4096);
  const size_t written = tide_stats_json(buffer.data(), buffer.size());
  ASSERT_LT(written, buffer.size());
  EXPECT_EQ(strlen(buffer.data()), written);
  const tide_stats stats = stats_now();
  const auto json = nlohmann::json::parse(buffer.data());
  EXPECT_EQ(json["schema"], "tide-stats");
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["version"], tide_version());
  EXPECT_EQ(json["process_id"], getpid());
  EXPECT_EQ(json["live_bytes"], stats.live_bytes);
  EXPECT_EQ(json["mapped_bytes"], stats.mapped_bytes);
  EXPECT_EQ(json["options"]["stats"]["value"], "off");
  EXPECT_EQ(json["options"]["stats"]["source"], "default");
  uint64_t live = 0;
  for (const auto& entry : json["classes"]) {
    live += entry["live_blocks"].get<uint64_t>() * entry["block_bytes"].get<uint64_t>();
    EXPECT_GT(entry["slabs"], 0);
  }
  EXPECT_EQ(json["live_bytes"].get<uint64_t>(), live + json["large_live_bytes"].get<uint64_t>() +
                                                    json["huge_live_bytes"].get<uint64_t>());
}

TEST(Stats, NewFieldsAreAtTheEnd) {
  const tide_stats stats = stats_now();
  EXPECT_EQ(offsetof(tide_stats, retaken_bytes), offsetof(tide_stats, purged_bytes) + 8);
  EXPECT_EQ(offsetof(tide_stats, footprint_bytes), offsetof(tide_stats, limit_bytes) + 8);
  EXPECT_EQ(sizeof stats, offsetof(tide_stats, limit_hard_bytes) + 8);
  EXPECT_EQ(stats.limit_bytes, 0u) << "none is set";
  EXPECT_LE(stats.purge_max_ns, stats.purge_total_ns);
}

std::vector<tide_thread_stats> threads_now() {
  std::vector<tide_thread_stats> threads(64);  // this very vector may be what makes a cache
  const size_t count = tide_thread_stats_get(threads.data(), threads.size());
  EXPECT_LE(count, threads.size());
  threads.resize(count);
  return threads;
}

uint64_t cached_by(uint64_t thread_id, uint32_t state) {
  uint64_t bytes = 0;
  for (const tide_thread_stats& thread : threads_now()) {
    if (thread.thread_id == thread_id && thread.state == state) bytes += thread.cached_bytes;
  }
  return bytes;
}

TEST(Stats, KnowWhoseCacheHoldsWhat) {
  uint64_t other = 0;
  std::thread([&other] {
    other = static_cast<uint64_t>(gettid());
    const uint64_t before = cached_by(other, TIDE_THREAD_OWNED);
    Blocks blocks(8, 30000);
    blocks.fill();
    blocks.release();
    EXPECT_GE(cached_by(other, TIDE_THREAD_OWNED), before + 2 * 30000);
  }).join();
  EXPECT_EQ(cached_by(other, TIDE_THREAD_OWNED), 0u);
  EXPECT_GT(cached_by(other, TIDE_THREAD_PARKED), 0u);
  EXPECT_GT(cached_by(static_cast<uint64_t>(gettid()), TIDE_THREAD_OWNED), 0u);
  tide_thread_stats one[2] = {};
  EXPECT_GE(tide_thread_stats_get(one, 1), 2u);
  EXPECT_NE(one[0].state, 0u);
  EXPECT_EQ(one[1].state, 0u) << "not more than there is room for";
}

TEST(Stats, ThreadsAreInTheJson) {
  std::string text(1 << 16, ' ');
  text.resize(tide_stats_json(text.data(), text.size()));
  const auto threads = nlohmann::json::parse(text)["threads"];
  ASSERT_EQ(threads.size(), tide_thread_stats_get(nullptr, 0));
  bool found = false;
  for (const auto& thread : threads) found |= thread["thread_id"] == gettid();
  EXPECT_TRUE(found);
}

TEST(Stats, TextIsCutLikeSnprintf) {
  char whole[16384];
  const size_t length = tide_stats_text(whole, sizeof whole);
  ASSERT_LT(length, sizeof whole);
  EXPECT_NE(strstr(whole, "live blocks"), nullptr);
  char cut[40];
  memset(cut, 'x', sizeof cut);
  EXPECT_EQ(tide_stats_text(cut, 20), length);
  EXPECT_EQ(strlen(cut), 19u);
  EXPECT_EQ(strncmp(cut, whole, 19), 0);
  EXPECT_EQ(cut[20], 'x');
  char none = 'x';
  EXPECT_EQ(tide_stats_text(&none, 0), length);
  EXPECT_EQ(none, 'x');
}

void append(const char* text, size_t length, void* argument) {
  static_cast<std::string*>(argument)->append(text, length);
}

TEST(Stats, WriteInPieces) {
  std::string json;
  json.reserve(32768);
  EXPECT_EQ(tide_stats_write(TIDE_STATS_JSON, append, &json), 0);
  EXPECT_TRUE(nlohmann::json::accept(json));
  EXPECT_EQ(tide_stats_write(static_cast<tide_stats_format>(4), append, &json), EINVAL);
}

TEST(Mallinfo, FieldsAreTrue) {
  struct Case {
    size_t size;
    bool huge;
  };
  for (const Case& c : {Case{100, false}, Case{200000, false}, Case{size_t{40} << 20, true}}) {
    Blocks blocks(10, c.size);
    const size_t bytes = 10 * tide_good_size(c.size);
    const struct mallinfo2 before = mallinfo2();
    blocks.fill();
    const struct mallinfo2 during = mallinfo2();
    EXPECT_EQ(during.uordblks - before.uordblks, c.huge ? 0 : bytes);
    EXPECT_EQ(during.hblkhd - before.hblkhd, c.huge ? bytes : 0);
    EXPECT_EQ(during.hblks - before.hblks, c.huge ? 10u : 0u);
    EXPECT_EQ(during.arena, during.uordblks + during.fordblks);
    EXPECT_EQ(during.usmblks, 0u);
  }
  const tide_mallinfo ours = tide_mallinfo2();
  const struct mallinfo2 theirs = mallinfo2();
  EXPECT_EQ(ours.uordblks, theirs.uordblks);
  EXPECT_EQ(ours.arena, theirs.arena);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  const struct mallinfo old = mallinfo();
#pragma GCC diagnostic pop
  EXPECT_EQ(static_cast<size_t>(old.uordblks), theirs.uordblks);
}

TEST(Mallinfo, TrimTakesKeepcost) {
  Blocks blocks(20000, 1000);
  blocks.fill();
  blocks.release();
  const size_t before = mallinfo2().keepcost + mallinfo2().fsmblks;
  EXPECT_GE(before, size_t{10} << 20);
  EXPECT_EQ(malloc_trim(0), 1);
  EXPECT_LT(mallinfo2().keepcost, before / 2);
}

std::string malloc_info_text() {
  char* text = nullptr;
  size_t length = 0;
  FILE* const stream = open_memstream(&text, &length);
  EXPECT_EQ(malloc_info(0, stream), 0);
  fclose(stream);
  std::string result(text, length);
  free(text);
  return result;
}

TEST(MallocInfo, HasTheCLibrarysShape) {
  const std::string xml = malloc_info_text();
  EXPECT_EQ(xml.rfind("<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n", 0), 0u) << xml;
  for (const char* element :
       {"</sizes>", "</heap>", "<total type=\"fast\" count=\"", "<total type=\"rest\" count=\"",
        "<total type=\"mmap\" count=\"", "<system type=\"current\" size=\"",
        "<system type=\"max\" size=\"", "<aspace type=\"total\" size=\"",
        "<aspace type=\"mprotect\" size=\""}) {
    EXPECT_NE(xml.find(element), std::string::npos) << element;
  }
  const std::string end = "</malloc>\n";
  EXPECT_EQ(xml.substr(xml.size() - end.size()), end);
}

TEST(MallocInfo, OptionsMustBeZero) {
  errno = 0;
  EXPECT_EQ(malloc_info(1, stdout), EINVAL);
  EXPECT_EQ(errno, EINVAL);
}

TEST(MallocInfo, TellsOfAStreamThatFails) {
  FILE* const full = fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  setvbuf(full, nullptr, _IONBF, 0);
  EXPECT_EQ(malloc_info(0, full), -1);
  fclose(full);
}

TEST(MallocStats, GoToStandardError) {
  testing::internal::CaptureStderr();
  malloc_stats();
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.rfind("Arena 0:\nsystem bytes     = ", 0), 0u) << text;
  EXPECT_NE(text.find("\nTotal (incl. mmap):\nsystem bytes     = "), std::string::npos);
  EXPECT_NE(text.find("\nin use bytes     = "), std::string::npos);
  EXPECT_NE(text.find("\nmax mmap regions = "), std::string::npos);
  EXPECT_NE(text.find("\nmax mmap bytes   = "), std::string::npos);
}

}  // namespace
