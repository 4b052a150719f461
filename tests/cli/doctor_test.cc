// tide doctor on made-up processes: where each byte is found, and the whole text for one on Tide.
// TIDE_UPDATE_GOLDEN=1 in the environment writes the text anew.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <numeric>
#include <sstream>

#include "cli/doctor_view.h"
#include "host/byte_text.h"
#include "host/proc.h"
#include "walk/places.h"
#include "walk/process_picture.h"
#include "walk/rss_parts.h"

namespace tide::cli {
namespace {

using walk::Part;
using walk::ProcessPicture;
using walk::RssParts;

constexpr uint64_t kMiB = uint64_t{1} << 20;
const std::string kFolder = TIDE_CLI_TESTS;

uint64_t sum_of(const RssParts& parts) {
  return std::accumulate(parts.bytes.begin(), parts.bytes.end(), uint64_t{0});
}

// tests/cli/fixtures/proc/103: zones of 510 MiB, of which 180 are live, and 100 MiB of mappings.
ProcessPicture tide_process() {
  const host::Proc proc(kFolder + "/fixtures/proc");
  ProcessPicture picture;
  picture.pid = 103;
  picture.command = proc.command(103);
  picture.rss_bytes = proc.status_bytes(103, "VmRSS");
  picture.mappings = host::parse_maps(proc.read(103, "smaps"));
  picture.threads = 1;
  constexpr uint64_t kZones = 0x6f0000000000;
  constexpr uint64_t kWindow = uint64_t{1} << 40;
  walk::TidePicture heap;
  heap.version = "1.2.3";
  heap.ranges.zones = {{kZones, kZones + 3 * kWindow}};
  heap.ranges.records = {{kZones + 3 * kWindow, kZones + 4 * kWindow},
                         {0x7f3100000000, 0x7f3100040000},
                         {0x7f3200028000, 0x7f3200028000 + 3000 * 1024}};
  heap.ranges.huge = {{0x7f3000000000, 0x7f3000000000 + 60 * kMiB}};
  heap.ranges.kept = {{0x7f3000000000 + 60 * kMiB, 0x7f3000000000 + 120 * kMiB}};
  walk::HeapFigures& figures = heap.figures;
  figures.totals.live_bytes = 240 * kMiB;
  figures.totals.live_blocks = 1'234'567;
  figures.totals.huge_live_bytes = 60 * kMiB;
  figures.totals.huge_live_blocks = 1;
  figures.totals.cached_bytes = 6 * kMiB;
  figures.totals.free_dirty_bytes = 384 * kMiB;
  figures.totals.huge_cached_bytes = 60 * kMiB;
  figures.classes = {{64, 100, kMiB * 70 / 64, 0, 0}, {96, 8100, kMiB * 110 / 96, 0, 0}};
  figures.dirty_in_class = {12 * kMiB, 312 * kMiB};
  figures.threads = {{103, 1, 0, 6 * kMiB, 1000}};
  picture.tide = heap;
  return picture;
}

TEST(Doctor, TextOfAProcessOnTide) {
  const ProcessPicture picture = tide_process();
  const std::string text =
      doctor_text(picture, walk::find_parts(picture), host::Terminal::for_test(100));
  const std::string path = kFolder + "/golden/doctor_tide.txt";
  if (std::getenv("TIDE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ostringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(text, golden.str());
}

TEST(Doctor, TidesPartsAddUp) {
  const ProcessPicture picture = tide_process();
  const RssParts parts = walk::find_parts(picture);
  EXPECT_EQ(sum_of(parts), parts.rss_bytes);
  EXPECT_EQ(parts.rss_bytes, picture.rss_bytes);
  EXPECT_EQ(parts.of(Part::kLive), 180 * kMiB + 50 * kMiB) << "half of the huge mapping is there";
  EXPECT_EQ(parts.of(Part::kCached), 6 * kMiB);
  EXPECT_EQ(parts.of(Part::kFree), (510 - 180 - 6) * kMiB + 50 * kMiB);
  EXPECT_EQ(parts.kept_bytes, 50 * kMiB);
  EXPECT_EQ(parts.of(Part::kRecords), (9000 + 200 + 400) * 1024u);
  EXPECT_EQ(parts.of(Part::kAnonymous), 0u);
  EXPECT_EQ(parts.of(Part::kUnexplained), 0u);
  ASSERT_EQ(parts.free_in_classes.size(), 2u);
  EXPECT_EQ(parts.free_in_classes[0].block_bytes, 96u);
}

TEST(Doctor, WhatIsKnownPageByPageIsNotGuessed) {
  ProcessPicture picture = tide_process();
  picture.resident = [](uint64_t start, uint64_t) -> std::optional<uint64_t> {
    return start == 0x7f3000000000 ? 7 * kMiB : 93 * kMiB;
  };
  const RssParts parts = walk::find_parts(picture);
  EXPECT_EQ(parts.of(Part::kLive), 180 * kMiB + 7 * kMiB);
  EXPECT_EQ(parts.kept_bytes, 93 * kMiB);
  EXPECT_EQ(sum_of(parts), parts.rss_bytes);
}

TEST(Doctor, BlocksThatWereNeverTouchedAreNotResident) {
  ProcessPicture picture = tide_process();
  picture.tide->figures.totals.live_bytes += 400 * kMiB;
  const RssParts parts = walk::find_parts(picture);
  EXPECT_EQ(parts.of(Part::kLive), 510 * kMiB + 50 * kMiB) << "never more than what is there";
  EXPECT_EQ(parts.of(Part::kCached), 0u);
  EXPECT_EQ(parts.untouched_bytes, (180 + 400 + 6 + 324 - 510) * kMiB);
  EXPECT_EQ(sum_of(parts), parts.rss_bytes);
}

TEST(Doctor, WhatNoMappingHasIsNamed) {
  ProcessPicture picture = tide_process();
  picture.rss_bytes += 3 * kMiB;
  EXPECT_EQ(walk::find_parts(picture).of(Part::kUnexplained), 3 * kMiB);
  picture.rss_bytes -= 5 * kMiB;
  const RssParts lagging = walk::find_parts(picture);
  EXPECT_EQ(lagging.of(Part::kUnexplained), 0u);
  EXPECT_EQ(sum_of(lagging), lagging.rss_bytes);
}

TEST(Maps, AreParsedWithNamesThatHaveSpaces) {
  const auto mappings = host::parse_maps(
      "1000-3000 rw-p 00001000 fe:01 42    /a file (deleted)\n"
      "Rss:                 8 kB\n"
      "AnonHugePages:       4 kB\n"
      "VmFlags: rd wr\n"
      "nonsense\n"
      "3000-4000 ---s 00000000 00:00 0 \n");
  ASSERT_EQ(mappings.size(), 2u);
  EXPECT_EQ(mappings[0].name, "/a file (deleted)");
  EXPECT_EQ(mappings[0].size(), 0x2000u);
  EXPECT_EQ(mappings[0].offset, 0x1000u);
  EXPECT_EQ(mappings[0].rss, 8192u);
  EXPECT_EQ(mappings[0].huge_pages, 4096u);
  EXPECT_TRUE(mappings[0].is_writable);
  EXPECT_FALSE(mappings[0].is_shared);
  EXPECT_TRUE(mappings[1].is_shared);
  EXPECT_FALSE(mappings[1].is_readable);
  EXPECT_EQ(mappings[1].name, "");
}

TEST(Printable, MovesNoCursor) {
  EXPECT_EQ(host::printable("a\x1b[2Jb\n\x7f"), "a?[2Jb??");
  EXPECT_EQ(host::printable("\u00e4 b"), "\u00e4 b");
}

TEST(ByteText, RoundsToTheNextUnit) {
  EXPECT_EQ(host::byte_text(0), "0 B");
  EXPECT_EQ(host::byte_text(1023), "1023 B");
  EXPECT_EQ(host::byte_text(1024), "1.0 KiB");
  EXPECT_EQ(host::byte_text(kMiB - 1), "1.0 MiB");
  EXPECT_EQ(host::byte_text(312 * kMiB), "312.0 MiB");
  EXPECT_EQ(host::short_byte_text(512), "512");
  EXPECT_EQ(host::short_byte_text(1536), "1.5K");
}

}  // namespace
}  // namespace tide::cli
