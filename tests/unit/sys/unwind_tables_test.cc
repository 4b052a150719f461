#include "sys/unwind_tables.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <vector>

#include "sys/stack.h"

namespace tide::sys {
namespace {

#if defined(DLFO_EH_SEGMENT_TYPE)

constexpr uint64_t kPresent = uint64_t{1} << 63;
constexpr uint64_t kOfFile = uint64_t{1} << 61;

// What /proc/self/pagemap says of the page at an address; 0: nothing is there, or not known.
uint64_t page_at(const void* address) {
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return 0;
  uint64_t page = 0;
  const auto number = reinterpret_cast<uintptr_t>(address) / static_cast<uintptr_t>(getpagesize());
  if (pread(pagemap, &page, sizeof page, static_cast<off_t>(number * sizeof page)) != sizeof page) {
    page = 0;
  }
  close(pagemap);
  return page;
}

// Where the tables begin for the code at an address.
char* table_for(void* code) {
  dl_find_object found;
  return _dl_find_object(code, &found) == 0 ? static_cast<char*>(found.dlfo_eh_frame) : nullptr;
}

// Linkers for x86-64 put what is only read into a part of its own, those for ARM do not.
bool lies_apart(const char* table) {
  dl_find_object found;
  if (_dl_find_object(const_cast<char*>(table), &found) != 0) return false;
  const auto* const file = static_cast<const ElfW(Ehdr)*>(found.dlfo_map_start);
  const auto* const parts = reinterpret_cast<const ElfW(Phdr)*>(
      static_cast<const char*>(found.dlfo_map_start) + file->e_phoff);
  const auto place = reinterpret_cast<uintptr_t>(table) - found.dlfo_link_map->l_addr;
  for (size_t i = 0; i < file->e_phnum; ++i) {
    const bool is_in = place - parts[i].p_vaddr < parts[i].p_memsz;
    if (parts[i].p_type == PT_LOAD && is_in) return parts[i].p_flags == PF_R;
  }
  return false;
}

class UnwindTables : public testing::Test {
 protected:
  void SetUp() override {
    note_objects_at_start();
    // The C library, whose tables lie in a part of their own.
    code_ = dlsym(RTLD_DEFAULT, "qsort");
    ASSERT_NE(code_, nullptr);
    table_ = table_for(code_);
    ASSERT_NE(table_, nullptr);
    if (!lies_apart(table_)) GTEST_SKIP() << "the C library's tables lie among its code";
    // Read it, so that it is there.
    sum_ = table_[0];
    if ((page_at(table_) & (kPresent | kOfFile)) != (kPresent | kOfFile)) {
      GTEST_SKIP() << "pagemap does not say what pages are";
    }
  }
  uintptr_t code() const { return reinterpret_cast<uintptr_t>(code_); }

  void* code_ = nullptr;
  char* table_ = nullptr;
  volatile char sum_ = 0;
};

TEST_F(UnwindTables, GoAndComeBack) {
  const std::vector<char> before(table_, table_ + 4096);
  errno = 4711;
  release_unwind_tables(code());
  EXPECT_EQ(errno, 4711);
  EXPECT_EQ(page_at(table_) & kPresent, 0u);
  EXPECT_EQ(std::vector<char>(table_, table_ + 4096), before);
  release_unwind_tables(code());
  uintptr_t frames[16];
  EXPECT_GT(capture_stack(frames, 16), 2u);
  release_unwind_tables(code());
  EXPECT_THROW(throw std::runtime_error("unwinds"), std::runtime_error);
}

TEST_F(UnwindTables, WhatWasWrittenStays) {
  const auto page = static_cast<uintptr_t>(getpagesize());
  char* const place = reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(table_) & ~(page - 1));
  ASSERT_EQ(mprotect(place, page, PROT_READ | PROT_WRITE), 0);
  *static_cast<volatile char*>(table_) = sum_;  // the same, in a page of the process's own
  ASSERT_EQ(mprotect(place, page, PROT_READ), 0);
  ASSERT_EQ(page_at(table_) & kOfFile, 0u);
  release_unwind_tables(code());
  EXPECT_NE(page_at(table_) & kPresent, 0u);
  // Other tests find them as they were.
  EXPECT_EQ(madvise(place, page, MADV_DONTNEED), 0);
}

// It might be unloaded while its pages are looked at.
TEST_F(UnwindTables, OfWhatWasLoadedLaterStay) {
  void* const library = dlopen("libutil.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) GTEST_SKIP() << dlerror();
  link_map* object = nullptr;
  ASSERT_EQ(dlinfo(library, RTLD_DI_LINKMAP, &object), 0);
  char* const table = table_for(object->l_ld);
  if (table == nullptr) GTEST_SKIP() << "has no tables";
  sum_ = table[0];
  release_unwind_tables(reinterpret_cast<uintptr_t>(object->l_ld));
  EXPECT_NE(page_at(table) & kPresent, 0u);
  dlclose(library);
}

TEST_F(UnwindTables, CodeOfNoObjectHasNone) {
  release_unwind_tables(0);
  release_unwind_tables(reinterpret_cast<uintptr_t>(&sum_));
  EXPECT_NE(page_at(table_) & kPresent, 0u);
}

#endif

}  // namespace
}  // namespace tide::sys
