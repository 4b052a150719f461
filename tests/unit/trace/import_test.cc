// Files of other tracers, made here byte by byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "host/error.h"
#include "trace/anonymous.h"
#include "trace/imported.h"
#include "trace/slice.h"
#include "trace/summary.h"

namespace tide::trace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ImportTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  void write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }
  Summary read(const std::string& format = "") {
    source_ = import_file(path_, format.empty() ? import_format(path_) : format);
    Summary summary;
    while (const Event* event = source_->next()) summary.add(*event);
    summary.finish(*source_);
    return summary;
  }
  std::string error(const std::string& format) {
    try {
      read(format);
    } catch (const host::Error& e) {
      return e.what();
    }
    return {};
  }

  std::string path_ = (std::filesystem::temp_directory_path() /
                       ("tide-import-" + std::to_string(getpid()) +
                        testing::UnitTest::GetInstance()->current_test_info()->name()))
                          .string();
  std::unique_ptr<EventSource> source_;
};

// A record of glibc's malloc tracing.
std::string record(uint32_t tid, uint32_t type, uint64_t first, uint64_t second, uint64_t size,
                   uint64_t extra = 0, uint64_t usable = 0) {
  std::string bytes(64, '\0');
  const uint64_t words[] = {tid | uint64_t{type} << 32, first, second, size, extra, usable};
  memcpy(bytes.data(), words, sizeof words);
  return bytes;
}

TEST_F(ImportTest, GlibcsRecords) {
  write(record(0, 255, 0x1234, 0, 8) + record(1, 1, 0, 0x1000, 100, 0, 112) +
        record(2, 2, 0, 0x2000, 50) + record(0, 0, 0, 0, 0) +  // a hole
        record(2, 4, 0x1000, 0x3000, 200) + record(1, 8, 0, 0x4000, 64, 32) +
        record(1, 3, 0x2000, 0, 0) + record(1, 3, 0, 0, 0));
  ASSERT_EQ(import_format(path_), "mtrace");
  const Summary summary = read();
  EXPECT_EQ(summary.totals().calls[Call::kMalloc], 1u);
  EXPECT_EQ(summary.totals().calls[Call::kCalloc], 1u);
  EXPECT_EQ(summary.totals().calls[Call::kRealloc], 1u);
  EXPECT_EQ(summary.totals().calls[Call::kPosixMemalign], 1u);
  EXPECT_EQ(summary.totals().calls[Call::kFree], 2u);
  EXPECT_EQ(summary.totals().null_releases, 1u);
  EXPECT_EQ(summary.totals().foreign_releases, 1u);
  EXPECT_EQ(summary.totals().leaked_bytes, 264u);
  EXPECT_EQ(summary.peak().bytes(), 314u);
}

TEST_F(ImportTest, GlibcsRecordsThatAreNone) {
  const std::string start = record(0, 255, 0x1234, 0, 8);
  write(start + record(1, 1, 0, 0x1000, 100).substr(0, 60));
  EXPECT_THAT(error("mtrace"), HasSubstr("offset 64: the last record is cut off"));
  write(start + record(1, 99, 0, 0x1000, 100));
  EXPECT_THAT(error("mtrace"), HasSubstr("offset 64: there is no record of type 99"));
}

constexpr const char* kHeaptrack =
    "v 10400 3\n"
    "X ./job\n"
    "s 8 /bin/job\n"
    "s 4 main\n"
    "s 3 f.c\n"
    "s 1 g\n"
    "i 1000 1 2 3 a\n"
    "i 2000 1 4 3 14\n"
    "t 1 0\n"
    "t 2 1\n"
    "a 64 1\n"
    "a 10 2\n"
    "+ 0\n"
    "c 5\n"
    "+ 1\n"
    "+ 1\n"
    "- 1\n"
    "c a\n"
    "- 0\n";

TEST_F(ImportTest, HeaptracksLines) {
  write(kHeaptrack);
  ASSERT_EQ(import_format(path_), "heaptrack");
  const Summary summary = read();
  EXPECT_EQ(summary.totals().calls[Call::kMalloc], 3u);
  EXPECT_EQ(summary.totals().calls[Call::kFree], 2u);
  EXPECT_EQ(summary.totals().leaked_bytes, 16u);
  EXPECT_EQ(summary.peak().bytes(), 100u + 32u);
  EXPECT_EQ(summary.end_ns(), 10'000'000u);
  EXPECT_EQ(source_->process().program, "./job");
  ASSERT_EQ(source_->stacks().size(), 3u);
  EXPECT_EQ(source_->stacks().caller(2), 1u);
  EXPECT_THAT(source_->symbols().names(source_->stacks().frame(2), true),
              ElementsAre("g (f.c:20)"));
}

TEST_F(ImportTest, HeaptracksLinesThatAreNone) {
  const std::string good = kHeaptrack;
  write(good + "+ 7\n");
  EXPECT_THAT(error("heaptrack"), HasSubstr("line 20"));
  write(good + "+ zz\n");
  EXPECT_THAT(error("heaptrack"), HasSubstr("no number in hex"));
  write(good + "t 9 0\n");
  EXPECT_THAT(error("heaptrack"), HasSubstr("line 20"));
  write("\x28\xb5\x2f\xfdnothing of the kind");
  EXPECT_THAT(error("heaptrack"), HasSubstr(path_));
  EXPECT_EQ(import_format(path_), "");
}

TEST_F(ImportTest, ADisguiseHidesNamesAndKeepsFigures) {
  write(kHeaptrack);
  Anonymous hidden(import_file(path_, "heaptrack"));
  Summary summary;
  uint64_t pointer = 0;
  while (const Event* event = hidden.next()) {
    summary.add(*event);
    pointer = event->pointer;
  }
  summary.finish(hidden);
  EXPECT_EQ(summary.totals().calls[Call::kMalloc], 3u);
  EXPECT_EQ(summary.totals().temporary, 1u);
  EXPECT_NE(pointer, 0u);
  ASSERT_EQ(hidden.stacks().size(), 3u);
  for (uint32_t stack = 1; stack < 3; ++stack) {
    const std::string name = hidden.symbols().names(hidden.stacks().frame(stack), true).front();
    EXPECT_EQ(name.find("main"), std::string::npos) << name;
    EXPECT_EQ(name.find("f.c"), std::string::npos) << name;
  }
  EXPECT_EQ(hidden.process().program.find("job"), std::string::npos);
}

TEST(Disguise, IsOneToOneAndKeepsPages) {
  const uint64_t key[2] = {1, 2};
  const uint64_t other[2] = {1, 3};
  const Disguise disguise(key);
  std::set<uint64_t> seen;
  for (uint64_t page = 0; page < 20'000; ++page) {
    const uint64_t address = (uint64_t{0x7f12} << 32) + page * 4096 + 0x123;
    const uint64_t found = disguise.address(address);
    EXPECT_EQ(found & 0xfff, 0x123u);
    EXPECT_LT(found, uint64_t{1} << 47);
    EXPECT_TRUE(seen.insert(found).second);
  }
  EXPECT_EQ(disguise.address(0), 0u);
  EXPECT_NE(disguise.address(4096), Disguise(other).address(4096));
  EXPECT_EQ(disguise.text("a"), disguise.text("a"));
  EXPECT_NE(disguise.text("a"), disguise.text("b"));
  EXPECT_NE(disguise.text("a"), Disguise(other).text("a"));
}

TEST(TimeRange, IsReadAsPeopleWriteIt) {
  const auto both = [](std::string_view text) {
    const TimeRange range = parse_time_range(text);
    return std::pair(range.begin_ns, range.end_ns);
  };
  EXPECT_EQ(both("5s..10s"), std::pair(uint64_t{5'000'000'000}, uint64_t{10'000'000'000}));
  EXPECT_EQ(both("250ms.."), std::pair(uint64_t{250'000'000}, UINT64_MAX));
  EXPECT_EQ(both("..1.5"), std::pair(uint64_t{0}, uint64_t{1'500'000'000}));
  for (const char* bad : {"", "5", "5s", "10s..5s", "a..b", "-1..2", "1x..2x", "1..2..3"}) {
    EXPECT_THROW(parse_time_range(bad), host::Error) << bad;
  }
}

}  // namespace
}  // namespace tide::trace
