// Which memory is searched for the program's own pointers, on made-up processes.
#include "inspect/roots.h"

#include <gtest/gtest.h>

#include "inspect/references.h"
#include "tests/unit/inspect/made_up_heap.h"

namespace tide::tests {

namespace {

using inspect::Anchor;
using inspect::RootKind;
using inspect::Roots;

constexpr uint64_t kHeapStart = 0x10000;
constexpr uint64_t kProgram = 0x400000;
constexpr uint64_t kThreadStack = 0x7f0000001000;
constexpr uint64_t kMainStack = 0x7ffff0000000;
constexpr uint64_t kPage = 4096;

// A program with a heap, data and zeroed data, a thread's stack behind a guard page, and its own.
struct MadeUpProcess {
  MadeUpProcess() {
    target.add(kHeapStart, 16 * kPage);
    target.add(kProgram, kPage, "/bin/prog").is_writable = false;  // code or constants
    target.add(kProgram + kPage, kPage, "/bin/prog").is_writable = false;
    target.add(kProgram + 2 * kPage, kPage, "/bin/prog");
    target.add(kProgram + 3 * kPage, kPage);
    target.add_guard(kThreadStack - kPage, kPage);
    target.add(kThreadStack, 16 * kPage);
    target.add(kMainStack, 16 * kPage);
    add_thread(10, kMainStack + 8 * kPage, 0x7e0000000000);
    add_thread(11, kThreadStack + 8 * kPage, kThreadStack + 15 * kPage);
  }

  void add_thread(int id, uint64_t stack_pointer, uint64_t thread_pointer) {
    walk::Thread thread;
    thread.id = id;
    thread.stack_pointer = stack_pointer;
    thread.thread_pointer = thread_pointer;
    thread.registers = {stack_pointer, 0};
    target.change_threads().push_back(thread);
  }
  // What is told of a word that points to the block; empty: it is not found.
  std::string found_at(uint64_t address) {
    target.put(address, kHeapStart);
    std::string text;
    const Roots roots(target, heaps);
    roots.for_each(kHeapStart, kHeapStart + 15,
                   [&](const Anchor& anchor) { text = roots.describe(anchor); });
    target.put(address, 0);
    return text;
  }

  MadeUpTarget target;
  Heaps heaps = one_heap({{kHeapStart, kHeapStart + 8 * kPage}}, {{kHeapStart, 16, 0}},
                         {{kHeapStart + 8 * kPage, kHeapStart + 9 * kPage}});
};

TEST(Roots, AreStacksAboveTheirPointers) {
  MadeUpProcess process;
  EXPECT_EQ(process.found_at(kMainStack + 8 * kPage + 16),
            "stack of thread 10, stack pointer + 0x10");
  EXPECT_EQ(process.found_at(kMainStack + 8 * kPage - 128),
            "stack of thread 10, stack pointer - 0x80");
  EXPECT_EQ(process.found_at(kMainStack + 8 * kPage - 136), "") << "dead";
  EXPECT_EQ(process.found_at(kMainStack + 16 * kPage - 8),
            "stack of thread 10, stack pointer + 0x7ff8");
  EXPECT_EQ(process.found_at(kThreadStack + 8 * kPage), "stack of thread 11, stack pointer + 0x0");
  EXPECT_EQ(process.found_at(kThreadStack + 8), "") << "dead";
  EXPECT_EQ(process.found_at(kThreadStack + 15 * kPage - 8),
            "thread-local storage of thread 11, thread pointer - 0x8");
}

TEST(Roots, AreDataAndRegistersAndNoHeap) {
  MadeUpProcess process;
  EXPECT_EQ(process.found_at(kProgram + 8), "") << "never written";
  EXPECT_EQ(process.found_at(kProgram + kPage + 8), "data of /bin/prog + 0x1008") << "relocated";
  EXPECT_EQ(process.found_at(kProgram + 2 * kPage + 8), "data of /bin/prog + 0x2008");
  EXPECT_EQ(process.found_at(kProgram + 3 * kPage + 8), "data of /bin/prog + 0x3008") << "zeroed";
  EXPECT_EQ(process.found_at(kHeapStart + 64), "") << "the heap";
  EXPECT_EQ(process.found_at(kHeapStart + 8 * kPage + 8), "") << "the allocator's records";
  EXPECT_EQ(process.found_at(kHeapStart + 9 * kPage), "mapping at 0x10000 + 0x9000");
  process.target.change_threads()[1].registers[1] = kHeapStart + 4;
  EXPECT_EQ(process.found_at(kProgram), "register number 1 of thread 11");
}

TEST(Roots, AllOfAStackWhereItsPointerIsNotKnown) {
  MadeUpProcess process;
  for (walk::Thread& thread : process.target.change_threads()) thread.registers.clear();
  EXPECT_NE(process.found_at(kMainStack + 8), "");
  EXPECT_NE(process.found_at(kThreadStack + 8), "");
}

// A signal's stack may be in the program's data, or anywhere: nothing near it is dead, and nothing
// of the stack that was left.
TEST(Roots, AllOfAStackThatAThreadLeftForAnother) {
  MadeUpProcess process;
  walk::Thread& thread = process.target.change_threads()[1];
  thread.stack_pointer = kProgram + 3 * kPage + 2048;
  EXPECT_EQ(process.found_at(kProgram + 3 * kPage + 8), "data of /bin/prog + 0x3008");
  EXPECT_NE(process.found_at(kThreadStack + 8), "");
}

TEST(Roots, TwoStacksInOneMappingAreBothAlive) {
  MadeUpProcess process;
  process.add_thread(12, kThreadStack + 2 * kPage, kThreadStack + 6 * kPage);
  EXPECT_EQ(process.found_at(kThreadStack + 8), "") << "below both";
  EXPECT_EQ(process.found_at(kThreadStack + 2 * kPage), "stack of thread 12, stack pointer + 0x0");
  EXPECT_NE(process.found_at(kThreadStack + 7 * kPage), "") << "between them";
  EXPECT_EQ(process.found_at(kThreadStack + 9 * kPage),
            "stack of thread 11, stack pointer + 0x1000");
}

TEST(Roots, WildRegistersAreNoHarm) {
  MadeUpProcess process;
  for (const uint64_t wild : {uint64_t{0}, uint64_t{1}, UINT64_MAX, kMainStack, kThreadStack + 3,
                              kMainStack + 16 * kPage - 1, kHeapStart, uint64_t{kProgram}}) {
    SCOPED_TRACE(wild);
    process.target.change_threads()[0].stack_pointer = wild;
    process.target.change_threads()[1].thread_pointer = wild;
    EXPECT_EQ(process.found_at(kProgram + 2 * kPage + 8), "data of /bin/prog + 0x2008");
  }
}

TEST(Roots, WhatIsCutOffIsCounted) {
  MadeUpProcess process;
  process.target.cut(kProgram + 2 * kPage + 100);
  const Roots roots(process.target, process.heaps);
  roots.for_each(0, 1, [](const Anchor&) {});
  EXPECT_EQ(roots.missing_bytes(), kPage - 96);
}

}  // namespace

}  // namespace tide::tests
