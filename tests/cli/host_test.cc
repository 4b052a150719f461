// src/host in the small: what the tests of the whole command would reach only with effort.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "host/demangle.h"
#include "host/elf_file.h"
#include "host/pagemap.h"
#include "host/preload.h"
#include "host/program.h"
#include "host/text_table.h"

namespace tide::host {
namespace {

using ::testing::ElementsAre;

TEST(PreloadList, PutsTheLibraryFirstAndKeepsTheRest) {
  EXPECT_EQ(preload_list("/l/tide.so", ""), "/l/tide.so");
  EXPECT_EQ(preload_list("/l/tide.so", "a.so:/b.so"), "/l/tide.so:a.so:/b.so");
  EXPECT_EQ(preload_list("/l/tide.so", "a.so /b.so"), "/l/tide.so:a.so:/b.so");
  EXPECT_EQ(preload_list("/l/tide.so", "::a.so: "), "/l/tide.so:a.so");
}

TEST(PreloadList, NamesNothingTwice) {
  EXPECT_EQ(preload_list("/l/tide.so", "a.so:/l/libtide-trace.so.0"),
            "/l/libtide-trace.so.0:/l/tide.so:a.so");
  EXPECT_EQ(preload_list("/l/tide.so", "/l/tide.so"), "/l/tide.so");
  EXPECT_EQ(preload_list("/l/tide.so", "a.so:/l/tide.so:a.so"), "/l/tide.so:a.so");
  // The same file by another name.
  EXPECT_EQ(preload_list("/proc/self/exe", "/proc/self/../self/exe"), "/proc/self/exe");
}

TEST(ProgramBehindEnv, SkipsOptionsAndAssignments) {
  EXPECT_EQ(program_behind_env("python3"), "python3");
  EXPECT_EQ(program_behind_env("-S python3 -u"), "python3");
  EXPECT_EQ(program_behind_env("-Spython3 -u"), "python3");
  EXPECT_EQ(program_behind_env("--split-string=python3 -u"), "python3");
  EXPECT_EQ(program_behind_env("-S -i A=1 B= awk -f"), "awk");
  EXPECT_EQ(program_behind_env("-S -u HOME -C /tmp  sh"), "sh");
  EXPECT_EQ(program_behind_env("-S -uHOME --chdir=/ sh"), "sh");
  EXPECT_EQ(program_behind_env(""), "");
  EXPECT_EQ(program_behind_env("-i"), "");
}

TEST(Environment, SetsAndUnsets) {
  setenv("TIDE_TEST_NAME", "old", 1);
  setenv("TIDE_TEST_NAME_LONGER", "kept", 1);
  Environment environment;
  EXPECT_EQ(environment.get("TIDE_TEST_NAME"), "old");
  environment.set("TIDE_TEST_NAME", "new=1");
  EXPECT_EQ(environment.get("TIDE_TEST_NAME"), "new=1");
  environment.unset("TIDE_TEST_NAME");
  EXPECT_EQ(environment.get("TIDE_TEST_NAME"), std::nullopt);
  EXPECT_EQ(environment.get("TIDE_TEST_NAME_LONGER"), "kept");
}

TEST(ElfFile, KnowsThisProgram) {
  const auto self = read_elf_summary("/proc/self/exe");
  ASSERT_TRUE(self.has_value());
  EXPECT_EQ(self->is_64bit, sizeof(void*) == 8);
  EXPECT_NE(self->interpreter, "");
  EXPECT_TRUE(self->has_entry);
  EXPECT_TRUE(self->same_machine(*self));
  EXPECT_FALSE(read_elf_summary("/proc/self/maps").has_value());
}

TEST(WrapText, BreaksAtSpaces) {
  EXPECT_THAT(wrap_text("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap_text("unbreakable x", 4), ElementsAre("unbreakable", "x"));
  EXPECT_THAT(wrap_text("", 4), ElementsAre(""));
  // Characters, not bytes.
  EXPECT_THAT(wrap_text("\u00e4\u00e4 \u00f6\u00f6", 5), ElementsAre("\u00e4\u00e4 \u00f6\u00f6"));
}

TEST(TextTable, AlignsColumns) {
  TextTable table({{"NAME"}, {"BYTES", Align::kRight}, {"NOTE"}});
  table.add_row({{"a"}, {"1"}, {"first"}});
  table.add_row({{"longer"}, {"1234567"}, {""}});
  EXPECT_EQ(table.render(Terminal(-1)),
            "NAME      BYTES  NOTE\n"
            "a             1  first\n"
            "longer  1234567\n");
}

TEST(TextTable, WrapsTheLastColumn) {
  TextTable table({{"NAME"}, {"NOTE"}});
  table.add_row({{"a"}, {"words that need more than one line of text"}});
  EXPECT_EQ(table.render(Terminal::for_test(30)),
            "NAME  NOTE\n"
            "a     words that need more\n"
            "      than one line of text\n");
  EXPECT_EQ(table.render(Terminal::for_test(24)),
            "NAME\n"
            "    NOTE\n"
            "a\n"
            "    words that need more\n"
            "    than one line of\n"
            "    text\n");
}

TEST(Pagemap, KnowsWhatWasNeverTouched) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t bytes = 1000 * page;
  void* const start =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(start, MAP_FAILED);
  madvise(start, bytes, MADV_NOHUGEPAGE);
  const auto at = reinterpret_cast<uint64_t>(start);
  const Proc proc;
  const Pagemap pagemap(proc, getpid());
  if (!pagemap.resident_bytes(at, at + bytes).has_value()) GTEST_SKIP() << "no pagemap here";
  EXPECT_EQ(pagemap.first_touched(at, at + bytes), at + bytes);
  static_cast<char*>(start)[700 * page + 5] = 1;
  EXPECT_EQ(pagemap.first_touched(at, at + bytes), at + 700 * page);
  EXPECT_EQ(pagemap.first_touched(at + 8, at + 600 * page), at + 600 * page);
  EXPECT_EQ(pagemap.first_touched(at + 700 * page + 8, at + bytes), at + 700 * page + 8);
  EXPECT_EQ(pagemap.first_touched(at + 701 * page, at + bytes), at + bytes);
  munmap(start, bytes);
  // Of a process that may not be asked all may have been touched.
  EXPECT_EQ(Pagemap(proc, 0x7ffffffe).first_touched(at, at + bytes), at);
}

TEST(Demangled, NamesThatGrowWithoutBoundsStayAsTheyAre) {
  // Each level has the one before twice: 2^40 characters if it were printed.
  std::string name = "1A";
  for (int i = 0; i < 40; ++i) name = "1AI" + name + "S_S_E";
  EXPECT_EQ(demangled(name), name);
  const std::string longest(5000, 'x');
  EXPECT_LE(demangled(longest).size(), 1024U);
  EXPECT_EQ(demangled("no name"), "no name");
  EXPECT_EQ(demangled("_ZN4pond4Fish4swimEv"), "pond::Fish::swim()");
  // Few references let a short name grow by little.
  EXPECT_EQ(demangled("_Z4swimN4pond4FishIiEES1_S1_"),
            "swim(pond::Fish<int>, pond::Fish<int>, pond::Fish<int>)");
  // A function of C, not a type.
  EXPECT_EQ(demangled("w"), "wchar_t");
  EXPECT_EQ(demangled_symbol("w"), "w");
  EXPECT_EQ(demangled_symbol("_Z4swimv"), "swim()");
}

}  // namespace
}  // namespace tide::host
