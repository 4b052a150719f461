#include "inspect/contents.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "inspect/hash_tables.h"
#include "inspect/owners.h"
#include "inspect/survey.h"
#include "tests/unit/inspect/fake_target.h"

namespace tide::inspect {
namespace {

class ContentsTest : public testing::Test {
 protected:
  // Blocks lie at multiples of 4 KiB.
  static constexpr uint64_t at(uint64_t number) { return FakeProgram::kHeap + number * 4096; }

  walk::Block add(uint64_t number, uint64_t bytes, std::initializer_list<uint64_t> words = {}) {
    program_.target.write_words(at(number), words);
    return program_.heap->add(at(number), bytes);
  }
  Kind kind_of(const walk::Block& block) {
    Contents contents(program_.target, program_.heaps);
    return contents.classify(block).kind;
  }
  std::string title_of(const walk::Block& block) {
    Contents contents(program_.target, program_.heaps);
    return contents.title(contents.classify(block));
  }

  FakeProgram program_;
};

TEST_F(ContentsTest, Zeros) {
  EXPECT_EQ(kind_of(add(1, 64)), Kind::kZeros);
  // Behind what is looked at first.
  const walk::Block large = add(2, 3 * 4096);
  EXPECT_EQ(kind_of(large), Kind::kZeros);
  program_.target.write_word(at(4), 1);
  EXPECT_EQ(kind_of(large), Kind::kUnknown);
}

TEST_F(ContentsTest, ObjectsAndArraysOfThem) {
  const uint64_t foo = program_.add_class("3Foo");
  EXPECT_EQ(title_of(add(1, 64, {foo, 1, 2})), "Foo");
  EXPECT_EQ(title_of(add(2, 64, {2, foo, 0, foo})), "Foo[]");   // of new[]
  EXPECT_EQ(title_of(add(3, 64, {foo, 5, foo, 6})), "Foo[]");   // of a vector
  EXPECT_EQ(title_of(add(4, 48, {foo, 0, 0, 0, foo})), "Foo");  // an old word: no room for two
  EXPECT_NE(kind_of(add(5, 64, {999, foo})), Kind::kObjects);   // not so many in 64 bytes
}

TEST_F(ContentsTest, Text) {
  const walk::Block block = add(1, 64);
  program_.target.write_text(at(1), "GET /index.html HTTP/1.1\n");
  EXPECT_EQ(kind_of(block), Kind::kText);
  EXPECT_NE(describe_block(program_.target, program_.heaps, block).find("\"GET /"),
            std::string::npos);
}

TEST_F(ContentsTest, AnAddressOfLettersIsNoText) {
  const uint64_t letters = 0x6161'6161'6160;
  program_.target.add_range(letters & ~uint64_t{4095}, 4096, "rw");
  EXPECT_EQ(kind_of(add(1, 32, {letters, letters + 8, 0, 0})), Kind::kPointers);
  // The same letters where nothing is mapped.
  EXPECT_EQ(kind_of(add(2, 32, {0x6262'6262'6262})), Kind::kText);
}

TEST_F(ContentsTest, TreeNodes) {
  // A head in a variable, a root with two children.
  const uint64_t head = FakeProgram::kVariables;
  program_.target.write_words(head, {0, at(1), at(2), at(3)});
  const walk::Block root = add(1, 48, {1, head, at(2), at(3), 7});
  const walk::Block left = add(2, 48, {0xabcd'0000'0000, at(1), 0, 0, 3});  // old bytes in the hole
  const walk::Block right = add(3, 48, {0, at(1), 0, 0, 9});
  EXPECT_EQ(kind_of(root), Kind::kTreeNode);
  EXPECT_EQ(kind_of(left), Kind::kTreeNode);
  EXPECT_EQ(kind_of(right), Kind::kTreeNode);
  program_.target.write_word(at(1) + 24, at(5));  // the root forgets its right child
  EXPECT_NE(kind_of(right), Kind::kTreeNode);
  EXPECT_NE(kind_of(root), Kind::kTreeNode);
  EXPECT_NE(kind_of(add(6, 48, {0, at(6), at(6), at(6)})), Kind::kTreeNode);  // only itself
}

TEST_F(ContentsTest, ListNodes) {
  const uint64_t head = FakeProgram::kStack + 64;
  program_.target.write_words(head, {at(1), at(2), 2});
  const walk::Block first = add(1, 32, {at(2), head, 11});
  const walk::Block second = add(2, 32, {head, at(1), 12});
  EXPECT_EQ(kind_of(first), Kind::kListNode);
  EXPECT_EQ(kind_of(second), Kind::kListNode);
  EXPECT_EQ(kind_of(add(3, 32, {at(2), head, 11})), Kind::kStructure);  // not pointed back to
  EXPECT_NE(kind_of(add(4, 32, {at(4), at(4), 0})), Kind::kListNode);   // an empty list's head
}

TEST_F(ContentsTest, HashTables) {
  const uint64_t table = FakeProgram::kVariables;
  const uint64_t before_first = table + 16;
  program_.target.write_words(table, {at(9), 5, at(1), 3});
  const walk::Block first = add(1, 32, {at(2), 10, 1});
  add(2, 32, {at(3), 21, 1});
  const walk::Block last = add(3, 32, {0, 32, 1});
  const walk::Block buckets = add(9, 48, {before_first, at(1), at(2), 0, 0});
  EXPECT_EQ(kind_of(first), Kind::kChainNode);
  EXPECT_NE(kind_of(last), Kind::kChainNode);  // nothing shows
  EXPECT_EQ(kind_of(buckets), Kind::kHashBuckets);
  // A chain that leads back to itself at once is none.
  EXPECT_NE(kind_of(add(4, 32, {at(4), 10})), Kind::kChainNode);
}

TEST_F(ContentsTest, HashTablesTellTheirNodesFromOtherLists) {
  const uint64_t table = FakeProgram::kVariables;
  const uint64_t load = 0x3F80'0000;  // 1.0F
  program_.target.write_words(table, {at(9), 5, at(1), 3, load});
  add(1, 32, {at(2), 10, 1});
  add(2, 32, {at(3), 21, 1});
  add(3, 32, {0, 32, 1});
  add(9, 48, {table + 16, at(1), at(2), 0, 0});
  // The same without a bucket that leads to the record.
  program_.target.write_words(table + 256, {at(8), 5, at(4), 2, load});
  add(4, 32, {at(5), 10, 1});
  add(5, 32, {0, 10, 1});
  add(8, 48, {0, 0, 0, 0, 0});
  const Contents contents(program_.target, program_.heaps);
  const auto found = [&](uint64_t most_steps) {
    HashTables tables;
    for (const uint64_t number : {1, 2, 3, 4, 5}) tables.add(at(number));
    tables.find(program_.target, contents.pointees(), most_steps);
    uint64_t bits = 0;
    for (const uint64_t number : {1, 2, 3, 4, 5, 7}) {
      bits |= uint64_t{tables.has(at(number))} << number;
    }
    return std::pair(bits, tables.is_complete());
  };
  EXPECT_EQ(found(HashTables::kMostSteps), std::pair(uint64_t{0b1110}, true));
  EXPECT_EQ(found(2), std::pair(uint64_t{0b0110}, false));
}

TEST_F(ContentsTest, DequeMaps) {
  add(1, 512);
  add(2, 512);
  add(3, 64);
  EXPECT_EQ(kind_of(add(5, 64, {0, 0, 0, at(1), at(2), 0, 0, 0})), Kind::kDequeMap);
  EXPECT_EQ(kind_of(add(6, 64, {0, 0, 0, at(1), at(3), 0, 0, 0})), Kind::kPointers);
}

TEST_F(ContentsTest, PointersNumbersAndRandomBytes) {
  EXPECT_EQ(kind_of(add(1, 32, {at(1), at(2) + 5, 0, FakeProgram::kCode})), Kind::kPointers);
  EXPECT_EQ(kind_of(add(2, 32, {at(1), 77, 12, 5})), Kind::kStructure);
  EXPECT_EQ(kind_of(add(3, 32, {77, 12, 5, 1000})), Kind::kNumbers);
  EXPECT_EQ(kind_of(add(4, 16, {0x0102'f3f4'b5b6'9798, 0xf1f2'0304'8586'e7e8})), Kind::kUnknown);
  std::mt19937_64 random(7);
  const walk::Block block = add(5, 1024);
  for (uint64_t i = 0; i < 128; ++i) program_.target.write_word(at(5) + 8 * i, random());
  EXPECT_EQ(kind_of(block), Kind::kRandom);
}

TEST_F(ContentsTest, WhatIsNotThere) { EXPECT_EQ(kind_of({0x1000, 64, 0}), Kind::kMissing); }

TEST_F(ContentsTest, OwnersTellStringsAndVectors) {
  program_.target.write_text(at(1), "a text of more than fifteen");
  program_.target.write_words(FakeProgram::kStack, {at(1), 27, 30});
  program_.target.write_words(FakeProgram::kStack + 128, {at(2), at(2) + 24, at(2) + 32});
  // A length beyond the capacity, an end before the begin, and no more than a pointer.
  program_.target.write_words(FakeProgram::kStack + 256, {at(3), 31, 30});
  program_.target.write_words(FakeProgram::kStack + 384, {at(4), at(4) - 8, at(4) + 32});
  // The last words of a mapping.
  program_.target.write_words(FakeProgram::kStack + FakeProgram::kBytes - 24, {at(5), 0, 20});
  Owners owners;
  for (uint64_t i = 1; i <= 5; ++i) owners.add(at(i), 32);
  owners.scan(program_.target);
  EXPECT_EQ(owners.of(at(1)), Owner::kString);
  EXPECT_EQ(owners.of(at(2)), Owner::kVector);
  EXPECT_EQ(owners.of(at(3)), Owner::kNone);
  EXPECT_EQ(owners.of(at(4)), Owner::kNone);
  EXPECT_EQ(owners.of(at(5)), Owner::kString);
}

TEST_F(ContentsTest, SurveyCountsEveryObjectAndSamplesTheRest) {
  const uint64_t foo = program_.add_class("3Foo");
  for (uint64_t i = 0; i < 200; ++i) {
    const uint64_t address = FakeProgram::kHeap + 64 * i;
    program_.heap->add(address, 64);
    if (i % 2 == 0) program_.target.write_words(address, {foo, i});
    if (i % 2 == 1) program_.target.write_text(address, "something to read");
  }
  Contents contents(program_.target, program_.heaps);
  SurveyOptions options;
  options.with_every_object = true;
  options.most_per_size = 50;
  const Survey result = survey(program_.target, program_.heaps, contents, options);
  ASSERT_EQ(result.objects.size(), 1U);
  EXPECT_EQ(result.objects.begin()->second.blocks, 100U);
  EXPECT_EQ(result.objects.begin()->second.bytes, 6400U);
  ASSERT_EQ(result.sizes.size(), 1U);
  EXPECT_EQ(result.sizes[0].blocks, 200U);
  EXPECT_TRUE(result.is_sampled);
  const uint64_t texts = result.sizes[0].kinds[static_cast<size_t>(Kind::kText)];
  EXPECT_GT(texts, 5U);
  EXPECT_LT(texts, 60U);
}

TEST_F(ContentsTest, SurveyOfWantedSizes) {
  add(1, 64);
  add(2, 128);
  Contents contents(program_.target, program_.heaps);
  SurveyOptions options;
  options.is_wanted = [](uint64_t bytes) { return bytes == 128; };
  const Survey result = survey(program_.target, program_.heaps, contents, options);
  EXPECT_EQ(result.blocks, 1U);
  EXPECT_EQ(result.bytes, 128U);
  EXPECT_FALSE(result.is_sampled);
}

}  // namespace
}  // namespace tide::inspect
