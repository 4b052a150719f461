// The options' parser and the rules of precedence, on environments made here.
#include "api/option_set.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tide::api {
namespace {

constexpr uint64_t kCacheDefault = kOptionRows[static_cast<size_t>(OptionId::huge_cache)].initial;

// Loads an environment and keeps the warnings.
struct Loaded {
  explicit Loaded(std::vector<std::string> variables) : strings(std::move(variables)) {
    std::vector<const char*> environment;
    for (const std::string& text : strings) environment.push_back(text.c_str());
    environment.push_back(nullptr);
    set.load(
        environment.data(),
        [](void* argument, std::string_view line) {
          static_cast<std::vector<std::string>*>(argument)->emplace_back(line);
        },
        &warnings);
  }
  std::string source(OptionId id) const {
    base::TextBuffer<64> out;
    set.format_source(id, out);
    return std::string(out.view());
  }

  std::vector<std::string> strings;
  std::vector<std::string> warnings;
  OptionSet set;
};

uint64_t bytes(std::string_view text) {
  uint64_t value = 12345;
  return parse_bytes(text, value) ? value : 12345;
}

uint64_t duration(std::string_view text) {
  uint64_t value = 12345;
  return parse_duration(text, value) ? value : 12345;
}

TEST(OptionValue, Bytes) {
  EXPECT_EQ(bytes("0"), 0u);
  EXPECT_EQ(bytes("4096"), 4096u);
  EXPECT_EQ(bytes("4096b"), 4096u);
  for (const char* text : {"64k", "64K", "64KiB", "64kib", "64KB", "64 KiB"}) {
    EXPECT_EQ(bytes(text), 65536u) << text;
  }
  EXPECT_EQ(bytes("3m"), 3u << 20);
  EXPECT_EQ(bytes("3GiB"), uint64_t{3} << 30);
  EXPECT_EQ(bytes("2t"), uint64_t{2} << 40);
  EXPECT_EQ(bytes("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", "k", "-1", "+1", " 1", "1 ", "1.5m", "1x", "1kk", "0x10", "1e3",
                           "18446744073709551616", "16777216t", "999999999999999999999"}) {
    EXPECT_EQ(bytes(text), 12345u) << text;
  }
}

TEST(OptionValue, Limits) {
  const auto limit = [](std::string_view text) {
    uint64_t value = 12345;
    return parse_limit(text, value) ? value : 12345;
  };
  EXPECT_EQ(limit("auto"), kAuto);
  EXPECT_EQ(limit("AUTO"), kAuto);
  EXPECT_EQ(limit("2g"), uint64_t{2} << 30);
  EXPECT_EQ(limit("0"), 0u);
  for (const char* text : {"", "aut", "auto ", "autom", "-1", "18446744073709551615"}) {
    EXPECT_EQ(limit(text), 12345u) << text;
  }
  base::TextBuffer<64> out;
  format_value(OptionType::kLimit, "", kAuto, out);
  out.put(' ');
  format_value(OptionType::kLimit, "", uint64_t{2} << 30, out);
  EXPECT_EQ(out.view(), "auto 2GiB");
}

TEST(OptionValue, Durations) {
  EXPECT_EQ(duration("250"), 250 * kMillisecond);
  EXPECT_EQ(duration("250ms"), 250 * kMillisecond);
  EXPECT_EQ(duration("2s"), 2 * kSecond);
  EXPECT_EQ(duration("7us"), 7000u);
  EXPECT_EQ(duration("9ns"), 9u);
  for (const char* text : {"", "s", "-1s", "1h", "1.5s", "99999999999999s"}) {
    EXPECT_EQ(duration(text), 12345u) << text;
  }
}

TEST(OptionValue, BooleansIntegersChoices) {
  uint64_t value = 5;
  for (const char* text : {"1", "on", "ON", "yes", "True"}) {
    EXPECT_TRUE(parse_boolean(text, value)) << text;
    EXPECT_EQ(value, 1u);
  }
  for (const char* text : {"0", "off", "no", "FALSE"}) {
    EXPECT_TRUE(parse_boolean(text, value)) << text;
    EXPECT_EQ(value, 0u);
  }
  for (const char* text : {"", "2", "o", "onn"}) EXPECT_FALSE(parse_boolean(text, value)) << text;

  EXPECT_TRUE(parse_integer("0xFf", value));
  EXPECT_EQ(value, 255u);
  EXPECT_TRUE(parse_integer("42", value));
  EXPECT_EQ(value, 42u);
  for (const char* text : {"", "0x", "0xg", "0x11111111111111111", "4k", "-4"}) {
    EXPECT_FALSE(parse_integer(text, value)) << text;
  }
  EXPECT_EQ(value, 42u);

  EXPECT_TRUE(parse_choice("TEXT", "off|text|json", value));
  EXPECT_EQ(value, 1u);
  EXPECT_TRUE(parse_choice("json", "off|text|json", value));
  EXPECT_EQ(value, 2u);
  for (const char* text : {"", "tex", "text|json", "|"}) {
    EXPECT_FALSE(parse_choice(text, "off|text|json", value)) << text;
  }
}

TEST(OptionValue, WhatIsFormattedIsReadBack) {
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{1000}, uint64_t{1024},
                               uint64_t{1536}, kMiB, 5 * kGiB, kTiB, kTiB + 1, UINT64_MAX}) {
    base::TextBuffer<64> size;
    format_value(OptionType::kBytes, "", value, size);
    EXPECT_EQ(bytes(size.view()), value) << size.view();
    base::TextBuffer<64> time;
    format_value(OptionType::kDuration, "", value, time);
    EXPECT_EQ(duration(time.view()), value) << time.view();
  }
  base::TextBuffer<64> size;
  format_value(OptionType::kBytes, "", 4 * kMiB, size);
  EXPECT_EQ(size.view(), "4MiB");
}

TEST(OptionSet, StartsWithTheDefaults) {
  const OptionSet set;
  for (size_t i = 0; i < kOptionCount; ++i) {
    EXPECT_EQ(set.number(static_cast<OptionId>(i)), kOptionRows[i].initial);
    EXPECT_EQ(set.source(static_cast<OptionId>(i)), OptionSource::kDefault);
  }
  EXPECT_STREQ(set.text(), "");
}

TEST(OptionSet, ReadsVariablesAndTheList) {
  const Loaded loaded({"PATH=/bin", "TIDE_HUGE_CACHE=5m", "TIDE_STATS_FILE=/tmp/a,b=c",
                       "TIDE_OPTIONS= stats = json , verbose=on,,", "HOME=/"});
  EXPECT_TRUE(loaded.warnings.empty());
  EXPECT_EQ(loaded.set.number(OptionId::huge_cache), 5 * kMiB);
  EXPECT_STREQ(loaded.set.text(), "/tmp/a,b=c");
  EXPECT_EQ(loaded.set.number(OptionId::stats), 2u);
  EXPECT_TRUE(loaded.set.is_on(OptionId::verbose));
  EXPECT_EQ(loaded.source(OptionId::huge_cache), "TIDE_HUGE_CACHE");
  EXPECT_EQ(loaded.source(OptionId::stats), "TIDE_OPTIONS");
  EXPECT_EQ(loaded.source(OptionId::thread_cache), "default");
}

TEST(OptionSet, AVariableCountsMoreThanTheList) {
  for (const bool list_first : {true, false}) {
    const std::string list = "TIDE_OPTIONS=huge_cache=1m";
    const std::string own = "TIDE_HUGE_CACHE=2m";
    const Loaded loaded(list_first ? std::vector{list, own} : std::vector{own, list});
    EXPECT_EQ(loaded.set.number(OptionId::huge_cache), 2 * kMiB);
    EXPECT_EQ(loaded.source(OptionId::huge_cache), "TIDE_HUGE_CACHE");
    EXPECT_TRUE(loaded.warnings.empty());
  }
}

TEST(OptionSet, OfEqualVariablesTheFirstCounts) {
  const Loaded loaded({"TIDE_HUGE_CACHE=2m", "TIDE_HUGE_CACHE=3m"});
  EXPECT_EQ(loaded.set.number(OptionId::huge_cache), 2 * kMiB);
}

TEST(OptionSet, UnknownOptionsGetOneLine) {
  const Loaded loaded({"TIDE_FOO=1", "TIDE_OPTIONS=bar=2", "TIDE_LIBRARY=/x", "TIDES_OUT=1"});
  ASSERT_EQ(loaded.warnings.size(), 2u);
  EXPECT_EQ(loaded.warnings[0], "option 'bar' is unknown; run 'tide env' for the list");
  EXPECT_EQ(loaded.warnings[1], "option 'foo' is unknown; run 'tide env' for the list");
}

TEST(OptionSet, IllFormedOptionsGetOneLineAndTheDefaultHolds) {
  struct Case {
    const char* variable;
    const char* part;
  };
  for (const Case& c :
       {Case{"TIDE_HUGE_CACHE=12q", "not a size"}, Case{"TIDE_HUGE_CACHE=", "not a size"},
        Case{"TIDE_HUGE_CACHE=-1", "not a size"}, Case{"TIDE_HUGE_CACHE=2t", "outside 0 to 1TiB"},
        Case{"TIDE_OPTIONS=huge_cache", "not a size"},
        Case{"TIDE_OPTIONS=huge_cache=x", "not a size"}}) {
    const Loaded loaded({c.variable});
    ASSERT_EQ(loaded.warnings.size(), 1u) << c.variable;
    EXPECT_EQ(loaded.warnings[0].rfind("option 'huge_cache' can't be '", 0), 0u);
    EXPECT_NE(loaded.warnings[0].find(c.part), std::string::npos) << loaded.warnings[0];
    EXPECT_NE(loaded.warnings[0].find("it stays 128MiB"), std::string::npos);
    EXPECT_EQ(loaded.set.number(OptionId::huge_cache), kCacheDefault);
    EXPECT_EQ(loaded.source(OptionId::huge_cache), "default");
  }
  const Loaded choice({"TIDE_STATS=xml"});
  ASSERT_EQ(choice.warnings.size(), 1u);
  EXPECT_EQ(
      choice.warnings[0],
      "option 'stats' can't be 'xml', which is not one of off|text|json|prometheus; it stays off");
}

TEST(OptionSet, WarningsCanBeTurnedOffFromAnywhere) {
  EXPECT_TRUE(Loaded({"TIDE_FOO=1", "TIDE_WARNINGS=0"}).warnings.empty());
  EXPECT_TRUE(Loaded({"TIDE_FOO=1", "TIDE_OPTIONS=warnings=off,x=1"}).warnings.empty());
  EXPECT_EQ(Loaded({"TIDE_FOO=1", "TIDE_WARNINGS=maybe"}).warnings.size(), 2u);
}

TEST(OptionSet, LongAndOddTextStaysOneLine) {
  const Loaded loaded({"TIDE_STATS=" + std::string(5000, 'x') + "\n", "TIDE_A\nB=1\x1b[31m",
                       "TIDE_STATS_FILE=" + std::string(1024, 'f'),
                       "TIDE_" + std::string(3000, 'Q') + "=1"});
  ASSERT_EQ(loaded.warnings.size(), 4u);
  for (const std::string& line : loaded.warnings) {
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    EXPECT_LT(line.size(), 480u);
  }
  EXPECT_STREQ(loaded.set.text(), "");
  const Loaded longest({"TIDE_STATS_FILE=" + std::string(1023, 'f')});
  EXPECT_EQ(std::string(longest.set.text()), std::string(1023, 'f'));
  EXPECT_TRUE(longest.warnings.empty());
}

TEST(OptionSet, EmptyEnvironments) {
  OptionSet set;
  set.load(nullptr, nullptr, nullptr);
  const char* const none[] = {nullptr};
  set.load(none, nullptr, nullptr);
  const char* const odd[] = {"", "=", "TIDE_", "TIDE_OPTIONS", "TIDE_=", nullptr};
  set.load(odd, nullptr, nullptr);
  EXPECT_EQ(set.number(OptionId::huge_cache), kCacheDefault);
}

TEST(OptionSet, SetFromTheProgram) {
  OptionSet set;
  EXPECT_EQ(set.set("huge_cache", "1m"), OptionFault::kNone);
  EXPECT_EQ(set.source(OptionId::huge_cache), OptionSource::kProgram);
  EXPECT_EQ(set.set("HUGE_CACHE", "2m"), OptionFault::kNone);
  EXPECT_EQ(set.number(OptionId::huge_cache), 2 * kMiB);
  EXPECT_EQ(set.set("huge_cache", "q"), OptionFault::kIllFormed);
  EXPECT_EQ(set.set("huge_threshold", "1"), OptionFault::kOutOfRange);
  EXPECT_EQ(set.set("nothing", "1"), OptionFault::kUnknown);
  EXPECT_EQ(set.set("thread_cache", "1m"), OptionFault::kFixed);
}

}  // namespace
}  // namespace tide::api
