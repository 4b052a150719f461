// src/host in the small: what the tests of the whole command would reach only with effort.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "host/control_groups.h"
#include "host/demangle.h"
#include "host/elf_file.h"
#include "host/pagemap.h"
#include "host/preload.h"
#include "host/program.h"
#include "host/text_table.h"

namespace tide::host {
namespace {

using ::testing::ElementsAre;

constexpr char kNumber[] = "3f4e1b0c9d8a7f6e5d4c3b2a190817263544536271809fa0b1c2d3e4f5061728";
constexpr char kShort[] = "3f4e1b0c9d8a";

std::string numbered(std::string text) {
  const size_t at = text.find("NUMBER");
  return at == std::string::npos ? text : text.replace(at, 6, kNumber);
}

TEST(ControlGroups, SayInWhichContainerAProcessIs) {
  const std::pair<const char*, const char*> kKnown[] = {
      {"0::/system.slice/docker-NUMBER.scope\n", kShort},
      {"0::/system.slice/docker-NUMBER.scope/init.scope\n", kShort},
      {"12:memory:/docker/NUMBER\n1:name=systemd:/docker/NUMBER\n", kShort},
      {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8a.slice/"
       "cri-containerd-NUMBER.scope\n",
       kShort},
      {"0::/kubepods/besteffort/pod8a-4/NUMBER", kShort},
      {"0::/system.slice/containerd.service/kubepods-pod8a.slice:cri-containerd:NUMBER\n", kShort},
      {"0::/machine.slice/libpod-NUMBER.scope/container\n", kShort},
      {"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-NUMBER.scope\n", kShort},
      {"0::/machine.slice/libpod-conmon-NUMBER.scope\n", ""},
      {"0::/machine.slice/machine-build\\x2dbox.scope/payload\n", "build-box"},
      {"0::/machine.slice/systemd-nspawn@box.service/payload\n", "box"},
      {"0::/lxc.payload.web/system.slice/nginx.service\n", "web"},
      {"3:memory:/lxc/web\n", "web"},
      {"0::/system.slice/nginx.service\n", ""},
      {"0::/\n", ""},
      {"", ""},
      {"no line of it", ""},
  };
  for (const auto& [text, container] : kKnown) {
    EXPECT_EQ(group_place(numbered(text)).container, container) << text;
  }
}

TEST(ControlGroups, SayWhichUnitItIs) {
  const std::pair<const char*, const char*> kKnown[] = {
      {"0::/system.slice/nginx.service\n", "nginx"},
      {"1:name=systemd:/system.slice/nginx.service\n0::/\n", "nginx"},
      {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app.service\n", ""},
      {"0::/system.slice/docker-NUMBER.scope/system.slice/nginx.service\n", "nginx"},
      // The engine's unit is none of what it runs.
      {"0::/system.slice/containerd.service/kubepods-pod8a.slice:cri-containerd:NUMBER\n", ""},
      {"4:memory:/system.slice/docker.service\n0::/docker/NUMBER\n", ""},
      {"0::/docker/NUMBER\n4:memory:/system.slice/docker.service\n", ""},
  };
  for (const auto& [text, unit] : kKnown) {
    EXPECT_EQ(group_place(numbered(text)).unit, unit) << text;
  }
}

TEST(ControlGroups, HaveAPath) {
  EXPECT_EQ(group_place("4:memory:/a\n0::/b c\n").path, "/b c");
  EXPECT_EQ(group_place("5:cpu,memory:/a\n0::/\n").path, "/a");
  EXPECT_EQ(group_place("").path, "");
}

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
