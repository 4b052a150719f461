// What an earlier process has named need not be looked up again.
#include "host/symbol_cache.h"

#include <gtest/gtest.h>
#include <link.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace tide::tests {

// With a name that the linker's table has.
extern "C" __attribute__((noinline, used, visibility("default"))) int symbol_cache_target(int n) {
  return n * 7 + 1;
}

// That of a type, were it mangled.
extern "C" __attribute__((noinline, used, visibility("default"))) int w(int n) { return n * 3; }

namespace {

using host::SymbolCache;

std::string own_file() { return std::filesystem::read_symlink("/proc/self/exe"); }

// Behind the begin of the program's first mapping.
uint64_t offset_of(int (*function)(int)) {
  uint64_t start = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {
        // The program comes first; where it was linked to is its first part.
        const uint64_t first = info->dlpi_phdr[0].p_vaddr - info->dlpi_phdr[0].p_offset;
        *static_cast<uint64_t*>(result) = info->dlpi_addr + first;
        return 1;
      },
      &start);
  return reinterpret_cast<uint64_t>(function) - start;
}

TEST(SymbolCache, WhatWasLearntNeedsNoFile) {
  SymbolCache first;
  const std::string id = first.build_id(own_file());
  ASSERT_FALSE(id.empty());
  const uint64_t offset = offset_of(symbol_cache_target);
  const auto places = first.places(own_file(), id, offset);
  ASSERT_FALSE(places.empty());
  EXPECT_EQ(places.back().function, "symbol_cache_target");
  const std::string text = first.news();
  ASSERT_FALSE(text.empty());

  SymbolCache second;
  second.learn(text);
  EXPECT_EQ(second.build_id(own_file()), id);
  const auto again = second.places("/no/such/file", id, offset);
  ASSERT_EQ(again.size(), places.size());
  EXPECT_EQ(again.back().function, "symbol_cache_target");
  EXPECT_EQ(again.back().file, places.back().file);
  EXPECT_EQ(again.back().line, places.back().line);
  EXPECT_EQ(second.news(), "") << "nothing was looked up";
}

TEST(SymbolCache, ANameOfCStaysWhatItIs) {
  SymbolCache cache;
  const auto places = cache.places(own_file(), cache.build_id(own_file()), offset_of(w));
  ASSERT_FALSE(places.empty());
  EXPECT_EQ(places.back().function, "w");
}

TEST(SymbolCache, WhatNobodyAsksForIsForgotten) {
  SymbolCache first;
  const std::string id = first.build_id(own_file());
  const uint64_t offset = offset_of(symbol_cache_target);
  first.places(own_file(), id, offset);
  SymbolCache second;
  second.learn(first.news());
  second.places(own_file(), id, offset + 1);
  SymbolCache third;
  third.learn(second.news());
  EXPECT_TRUE(third.places("/no/such/file", id, offset).empty());
  EXPECT_FALSE(third.places("/no/such/file", id, offset + 1).empty());
}

TEST(SymbolCache, AFileThatWasNotThereIsAskedForAgain) {
  SymbolCache first;
  const std::string id = first.build_id(own_file());
  const uint64_t offset = offset_of(symbol_cache_target);
  EXPECT_TRUE(first.places("/no/such/file", id + "00", offset).empty());
  SymbolCache second;
  second.learn(first.news());
  EXPECT_TRUE(second.places("/no/such/file", id + "00", offset).empty());
  EXPECT_NE(second.news(), "");
}

// As packages of debug information have it.
TEST(SymbolCache, CompressedDebugInformationThatIsTooLargeStaysPacked) {
  const std::filesystem::path folder =
      testing::TempDir() + "symbol_cache_" + std::to_string(getpid());
  std::filesystem::create_directory(folder);
  const std::string packed = folder / "packed", bare = folder / "bare",
                    debug = folder / "bare.debug";
  const std::string command =
      "objcopy --compress-debug-sections=zlib " + own_file() + " " + packed +  //
      " && objcopy --only-keep-debug " + packed + " " + debug +                //
      " && objcopy --strip-all --add-gnu-debuglink=" + debug + " " + packed + " " + bare +
      " && objcopy --strip-debug --add-gnu-debuglink=" + debug + " " + packed + " " + bare + "2";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const uint64_t offset = offset_of(symbol_cache_target);
  for (const std::string& path : {packed, bare, bare + "2"}) {
    SymbolCache roomy, narrow({.unpacked_bytes = 1000});
    const auto whole = roomy.places(path, "", offset), named = narrow.places(path, "", offset);
    ASSERT_EQ(whole.size(), 1u) << path;
    EXPECT_EQ(whole[0].function, "symbol_cache_target") << path;
    EXPECT_NE(whole[0].line, 0u) << path;
    ASSERT_EQ(named.size(), 1u) << path;
    EXPECT_EQ(named[0].function, "symbol_cache_target") << path;
    EXPECT_EQ(named[0].line, 0u) << path;
  }
  std::filesystem::remove_all(folder);
}

TEST(SymbolCache, AUnitThatIsTooLargeHasFunctionsWithoutLines) {
  const uint64_t offset = offset_of(symbol_cache_target);
  SymbolCache roomy, narrow({.unit_bytes = 1000});
  const auto whole = roomy.places(own_file(), "", offset);
  const auto named = narrow.places(own_file(), "", offset);
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_NE(whole[0].line, 0u);
  ASSERT_EQ(named.size(), 1u);
  EXPECT_EQ(named[0].function, "symbol_cache_target");
  EXPECT_EQ(named[0].line, 0u);
  EXPECT_EQ(named[0].file, "");
}

TEST(SymbolCache, FilesThatAreClosedInBetweenSayTheSame) {
  SymbolCache roomy, narrow({.resident_bytes = 0});
  for (const uint64_t at : {offset_of(symbol_cache_target), offset_of(w)}) {
    for (uint64_t offset = at; offset < at + 4; ++offset) {
      const auto whole = roomy.places(own_file(), "", offset);
      const auto again = narrow.places(own_file(), "", offset);
      ASSERT_EQ(whole.size(), again.size()) << offset;
      for (size_t i = 0; i < whole.size(); ++i) {
        EXPECT_EQ(whole[i].function, again[i].function) << offset;
        EXPECT_EQ(whole[i].line, again[i].line) << offset;
      }
    }
  }
}

TEST(SymbolCache, DamagedTextSaysNothing) {
  SymbolCache first;
  const std::string id = first.build_id(own_file());
  const uint64_t offset = offset_of(symbol_cache_target);
  first.places(own_file(), id, offset);
  const std::string text = first.news();
  for (size_t length = 0; length < text.size(); length += 7) {
    SymbolCache second;
    second.learn(text.substr(0, length));
    EXPECT_TRUE(second.places("/no/such/file", id, offset).empty()) << length;
  }
  for (const char* const odd :
       {"[]", "{\"version\":1}", "{\"version\":1,\"build_ids\":[],\"code\":7}",
        "{\"version\":2,\"build_ids\":{},\"code\":{}}"}) {
    SymbolCache second;
    second.learn(odd);
    EXPECT_EQ(second.build_id(own_file()), id) << odd;
  }
}

}  // namespace
}  // namespace tide::tests
