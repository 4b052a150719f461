// The way to the arena: the variable that names it, figures that can't be right.
#include "probe/arena_map.h"

#include <gtest/gtest.h>

#include "sys/mapping_line.h"
#include "tests/unit/probe/test_arena.h"

namespace tide::probe::test {
namespace {

TEST(ArenaAddress, HasThreeParts) {
  ArenaAddress address;
  ASSERT_TRUE(parse_arena_address("/proc/12/fd/200:200:18446744073709551615", &address));
  EXPECT_EQ("/proc/12/fd/200", address.path);
  EXPECT_EQ(200, address.descriptor);
  EXPECT_EQ(UINT64_MAX, address.identity);
  ASSERT_TRUE(parse_arena_address("/a:b:c:3:4", &address));
  EXPECT_EQ("/a:b:c", address.path);
  for (const char* bad : {"", ":", "::", "/a", "/a:1", "/a:1:", "/a::1", "/a:x:1", "/a:1:1x",
                          "/a:-1:1", "/a:99999999999:1", "/a:1:999999999999999999999"}) {
    EXPECT_FALSE(parse_arena_address(bad, &address)) << bad;
  }
  EXPECT_FALSE(parse_arena_address(std::string(5000, 'a') + ":1:1", &address));
}

TEST(Arena, FiguresThatReachOutside) {
  TestArena arena({});
  const uint64_t bytes = arena->bytes;
  EXPECT_TRUE(is_sound_arena(*arena, bytes));
  EXPECT_FALSE(is_sound_arena(*arena, bytes - 1));
  const auto broken = [&](auto change) {
    TestArena other({});
    change(*other);
    return !is_sound_arena(*other, bytes);
  };
  using format::TraceArena;
  EXPECT_TRUE(broken([](TraceArena& a) { a.magic = 1; }));
  EXPECT_TRUE(broken([](TraceArena& a) { a.version = format::kArenaVersion + 1; }));
  EXPECT_TRUE(broken([](TraceArena& a) { a.packet_count += 1; }));
  EXPECT_TRUE(broken([](TraceArena& a) { a.packet_count = 0; }));
  EXPECT_TRUE(broken([](TraceArena& a) { a.packet_bytes = 64; }));
  EXPECT_TRUE(broken([](TraceArena& a) { a.packets = UINT64_MAX; }));
  EXPECT_TRUE(broken([](TraceArena& a) { a.processes = 0; }));
  EXPECT_TRUE(broken([](TraceArena& a) { a.process_count = UINT32_MAX; }));
  EXPECT_TRUE(broken([](TraceArena& a) { a.packet_states = a.bytes; }));
  EXPECT_TRUE(broken([](TraceArena& a) { a.tick_shift = 64; }));
}

TEST(MappingLine, IsTakenApart) {
  sys::MappingLine mapping;
  ASSERT_TRUE(mapping.parse(
      "7f12a000-7f12b000 r-xp 0001f000 08:01 1234                       /usr/lib/a b.so"));
  EXPECT_EQ(0x7f12a000u, mapping.begin);
  EXPECT_EQ(0x7f12b000u, mapping.end);
  EXPECT_EQ(0x1f000u, mapping.offset);
  EXPECT_TRUE(mapping.is_executable);
  EXPECT_EQ("/usr/lib/a b.so", mapping.path);
  ASSERT_TRUE(mapping.parse("1000-2000 rw-p 00000000 00:00 0 "));
  EXPECT_EQ("", mapping.path);
  EXPECT_FALSE(mapping.is_executable);
  for (const char* bad : {"", "x", "1000", "1000-", "1000-2000", "1000-2000 r"}) {
    EXPECT_FALSE(mapping.parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace tide::probe::test
