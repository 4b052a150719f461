// Options by name through tide.h.
#include <errno.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <map>
#include <string>

#include "tide/tide.h"

namespace {

std::string get(const char* name) {
  char buffer[1100];
  return tide_option_get(name, buffer, sizeof buffer) == 0 ? buffer : "?";
}

struct Row {
  std::string type, value, default_value, minimum, maximum, unit, source, help;
  bool fixed;
};

std::map<std::string, Row> list() {
  std::map<std::string, Row> rows;
  tide_option_list(
      [](const tide_option* option, void* argument) {
        (*static_cast<std::map<std::string, Row>*>(argument))[option->name] = {
            option->type, option->value,  option->default_value, option->minimum,   option->maximum,
            option->unit, option->source, option->help,          option->fixed != 0};
        return 1;
      },
      &rows);
  return rows;
}

TEST(OptionApi, Get) {
  EXPECT_EQ(get("huge_threshold"), "32MiB");
  EXPECT_EQ(get("warnings"), "on");
  EXPECT_EQ(get("stats"), "off");
  EXPECT_EQ(get("stats_file"), "");
  char buffer[6] = "?";
  EXPECT_EQ(tide_option_get("no_such", buffer, sizeof buffer), ENOENT);
  EXPECT_EQ(tide_option_get("huge_threshold", buffer, 5), ERANGE);
  EXPECT_STREQ(buffer, "?");
  EXPECT_EQ(tide_option_get("huge_threshold", buffer, 6), 0);
  EXPECT_STREQ(buffer, "32MiB");
}

TEST(OptionApi, SetFaults) {
  errno = 7777;
  EXPECT_EQ(tide_option_set("no_such", "1"), ENOENT);
  EXPECT_EQ(tide_option_set("huge_cache", "x"), EINVAL);
  EXPECT_EQ(tide_option_set("huge_cache", ""), EINVAL);
  EXPECT_EQ(tide_option_set("huge_cache", "2000t"), EINVAL);
  EXPECT_EQ(tide_option_set("stats", "xml"), EINVAL);
  EXPECT_EQ(tide_option_set("thread_cache", "1m"), EPERM);
  EXPECT_EQ(errno, 7777);
}

TEST(OptionApi, SetTakesEffect) {
  ASSERT_EQ(tide_option_set("huge_cache", "0"), 0);
  EXPECT_EQ(get("huge_cache"), "0");
  EXPECT_EQ(list()["huge_cache"].source, "program");
  free(malloc(size_t{40} << 20));
  tide_stats stats{};
  ASSERT_EQ(tide_stats_get(&stats, sizeof stats), 0);
  EXPECT_EQ(stats.huge_cached_bytes, 0u);

  ASSERT_EQ(tide_option_set("huge_cache", "100m"), 0);
  EXPECT_EQ(get("huge_cache"), "100MiB");
  free(malloc(size_t{40} << 20));
  ASSERT_EQ(tide_stats_get(&stats, sizeof stats), 0);
  EXPECT_EQ(stats.huge_cached_bytes, size_t{40} << 20);
  // A smaller limit counts from the next block that is freed.
  ASSERT_EQ(tide_option_set("huge_cache", "0"), 0);
  free(malloc(size_t{40} << 20));
  ASSERT_EQ(tide_stats_get(&stats, sizeof stats), 0);
  EXPECT_EQ(stats.huge_cached_bytes, 0u);

  ASSERT_EQ(tide_option_set("huge_threshold", "1m"), 0);
  void* const p = malloc(size_t{2} << 20);
  ASSERT_EQ(tide_stats_get(&stats, sizeof stats), 0);
  EXPECT_EQ(stats.huge_live_blocks, 1u);
  free(p);
  ASSERT_EQ(tide_option_set("huge_threshold", "32m"), 0);
}

TEST(OptionApi, ListIsWhole) {
  const auto rows = list();
  EXPECT_GE(rows.size(), 8u);
  for (const auto& [name, row] : rows) {
    EXPECT_FALSE(row.type.empty()) << name;
    EXPECT_FALSE(row.help.empty()) << name;
    EXPECT_EQ(row.help.find('\n'), std::string::npos) << name;
    EXPECT_EQ(row.value, get(name.c_str()));
    EXPECT_EQ(tide_option_set(name.c_str(), row.value.c_str()), row.fixed ? EPERM : 0) << name;
  }
  EXPECT_EQ(rows.at("stats").unit, "off|text|json|prometheus");
  EXPECT_EQ(rows.at("stats").minimum, "");
  EXPECT_EQ(rows.at("huge_threshold").minimum, "64KiB");
  EXPECT_EQ(rows.at("huge_threshold").maximum, "32MiB");
  int seen = 0;
  tide_option_list(
      [](const tide_option*, void* count) { return ++*static_cast<int*>(count) < 2 ? 1 : 0; },
      &seen);
  EXPECT_EQ(seen, 2);
}

TEST(OptionApi, VersionIsTheHeaders) {
  EXPECT_EQ(std::string(tide_version()), std::to_string(TIDE_VERSION_MAJOR) + "." +
                                             std::to_string(TIDE_VERSION_MINOR) + "." +
                                             std::to_string(TIDE_VERSION_PATCH));
}

}  // namespace
