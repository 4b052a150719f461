#include "fleet/batch.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "host/error.h"

namespace tide::fleet {
namespace {

Batch small() {
  Batch batch{"id1", "here", {}};
  batch.rows(TableId::kFrames).add({int64_t{7}, int64_t{0}, std::string("f")});
  batch.rows(TableId::kFrames).add({int64_t{7}, int64_t{-1}, std::string("g\n'\0x", 5)});
  batch.rows(TableId::kStacks).add({INT64_MAX, std::string(), INT64_MIN});
  return batch;
}

TEST(Batch, ComesBackAsItWas) {
  const Batch batch = decode(encode(small()));
  EXPECT_EQ(batch.id, "id1");
  EXPECT_EQ(batch.host, "here");
  ASSERT_EQ(batch.tables.size(), 2u);
  EXPECT_EQ(batch.tables[0].size(), 2u);
  EXPECT_EQ(batch.tables[0].column(1).numbers, (std::vector<int64_t>{0, -1}));
  EXPECT_EQ(batch.tables[0].column(2).texts[1], std::string("g\n'\0x", 5));
  EXPECT_EQ(batch.tables[1].column(0).numbers[0], INT64_MAX);
  EXPECT_EQ(batch.tables[1].column(2).numbers[0], INT64_MIN);
}

TEST(Batch, DamageOfAnyByteIsSeen) {
  const std::string good = encode(small());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_THROW(decode(bad), host::Error) << i;
    EXPECT_THROW(decode(std::string_view(good).substr(0, i)), host::Error) << i;
  }
}

// An agent that took it would be killed, and the next one by the same file.
TEST(Batch, ALengthThatIsDamagedTakesNoMemory) {
  std::string bad = encode(small());
  constexpr size_t kLengthAt = 8;
  const uint64_t length = uint64_t{4000} << 20;
  bad.replace(kLengthAt, sizeof length, reinterpret_cast<const char*>(&length), sizeof length);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit tight{rlim_t{3000} << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &tight), 0);
  EXPECT_THROW(decode(bad), host::Error);
  setrlimit(RLIMIT_AS, &before);
}

TEST(Batch, OfAnotherSchemaIsRefusedWithBothVersions) {
  std::string other = encode(small());
  constexpr size_t kSchemaAt = 20;
  other[kSchemaAt] = 9;
  try {
    decode(other);
    FAIL();
  } catch (const host::Error& error) {
    EXPECT_NE(std::string(error.what()).find("schema version 9"), std::string::npos);
  }
}

TEST(Batch, RowsHaveACellForEachColumn) {
  Rows rows(TableId::kFrames);
  EXPECT_THROW(rows.add({int64_t{1}}), std::logic_error);
  rows.numbers(0).push_back(1);
  EXPECT_THROW(rows.set_size(1), std::logic_error);
}

TEST(Schema, KeysAndTimesAreColumns) {
  for (const Table& table : tables()) {
    std::string_view keys = table.key;
    while (!keys.empty()) {
      const size_t comma = keys.find(',');
      EXPECT_NO_THROW(column_of(table, keys.substr(0, comma))) << table.name;
      keys = comma == std::string_view::npos ? "" : keys.substr(comma + 1);
    }
    if (!table.time.empty()) EXPECT_NO_THROW(column_of(table, table.time)) << table.name;
    EXPECT_EQ(tables()[find_table(table.name)].name, table.name);
  }
  EXPECT_EQ(table(TableId::kTraceEvents).name, "trace_events");
  EXPECT_EQ(table(TableId::kStatistics).name, "statistics");
}

TEST(NumberOf, IsTheSameOnEveryMachine) {
  EXPECT_EQ(number_of(""), number_of(""));
  EXPECT_NE(number_of("a"), number_of("b"));
  EXPECT_GE(number_of("anything"), 0);
  EXPECT_NE(new_batch_id(), new_batch_id());
}

}  // namespace
}  // namespace tide::fleet
