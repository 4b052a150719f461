// The spool, the file of SQLite, and what takes batches from one to the other.

#include "fleet/store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "fleet/shipper.h"
#include "fleet/spool.h"
#include "fleet/sqlite_store.h"

namespace tide::fleet {
namespace {

namespace fs = std::filesystem;

class InFolder : public testing::Test {
 protected:
  InFolder() {
    char name[] = "/tmp/tide-fleet-test-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~InFolder() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  std::string folder_;
};

Batch numbered(int64_t number) {
  Batch batch{new_batch_id(), "here", {}};
  for (int64_t position = 0; position < 3; ++position) {
    batch.rows(TableId::kSizeClasses)
        .add({number, std::string("h"), std::string("s"), std::string("v"), std::string("c"),
              std::string("k"), int64_t{1}, position, int64_t{1}, int64_t{2}, int64_t{3},
              int64_t{4}});
  }
  return batch;
}

class SpoolTest : public InFolder {};

TEST_F(SpoolTest, OldestFirstAlsoForTheNextAgent) {
  std::vector<std::string> complaints;
  {
    Spool spool(path("spool"), 1 << 20);
    for (int64_t i = 0; i < 12; ++i) ASSERT_TRUE(spool.put(numbered(i)));
  }
  std::ofstream(path("spool/0000000000000003-x.part")) << "half";
  Spool spool(path("spool"), 1 << 20);
  EXPECT_FALSE(fs::exists(path("spool/0000000000000003-x.part")));
  ASSERT_TRUE(spool.put(numbered(12)));
  for (int64_t i = 0; i < 13; ++i) {
    auto entry = spool.oldest(complaints);
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(entry->batch.tables[0].column(0).numbers[0], i);
    spool.remove(entry->name);
  }
  EXPECT_FALSE(spool.oldest(complaints).has_value());
  EXPECT_TRUE(complaints.empty());
}

TEST_F(SpoolTest, AFullOneKeepsWhatItHas) {
  const size_t bytes = encode(numbered(0)).size();
  Spool spool(path("spool"), bytes * 5 / 2);
  EXPECT_TRUE(spool.put(numbered(0)));
  EXPECT_TRUE(spool.put(numbered(1)));
  EXPECT_FALSE(spool.put(numbered(2)));
  EXPECT_EQ(spool.content().batches, 2u);
  std::vector<std::string> complaints;
  spool.remove(spool.oldest(complaints)->name);
  EXPECT_TRUE(spool.put(numbered(3)));
}

TEST_F(SpoolTest, OneAgentAtATime) {
  Spool spool(path("spool"), 1 << 20);
  EXPECT_THROW(Spool(path("spool"), 1 << 20), host::Error);
}

TEST_F(SpoolTest, WhatIsDamagedIsSetAsideAndSaid) {
  Spool spool(path("spool"), 1 << 20);
  spool.put(numbered(0));
  spool.put(numbered(1));
  std::vector<std::string> complaints;
  const std::string first = spool.oldest(complaints)->name;
  fs::resize_file(path("spool/" + first), 30);
  EXPECT_EQ(spool.oldest(complaints)->batch.tables[0].column(0).numbers[0], 1);
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_TRUE(fs::exists(path("spool/" + first + ".bad")));
}

class SqliteTest : public InFolder {
 protected:
  std::unique_ptr<Store> open(bool must_exist = false) {
    auto store = std::make_unique<SqliteStore>(path("fleet.db"), must_exist);
    if (!must_exist) store->prepare();
    return store;
  }
  int64_t count() { return open(true)->query("SELECT count(*) FROM size_classes").number(0, 0); }
};

TEST_F(SqliteTest, TakesABatchOnce) {
  const auto store = open();
  const Batch batch = numbered(1);
  EXPECT_TRUE(store->apply(batch));
  EXPECT_FALSE(store->apply(batch));
  EXPECT_TRUE(store->has(batch.id));
  EXPECT_EQ(count(), 3);
}

TEST_F(SqliteTest, ReadsWhatWasWritten) {
  const auto store = open();
  Batch batch{"x", "h", {}};
  batch.rows(TableId::kFrames).add({INT64_MAX, int64_t{0}, std::string("it's \\ \xc3\xa4")});
  store->apply(batch);
  const Result result = store->query("SELECT stack, function FROM frames WHERE function = " +
                                     store->dialect().literal("it's \\ \xc3\xa4"));
  ASSERT_EQ(result.rows.size(), 1u);
  EXPECT_EQ(result.number(0, 0), INT64_MAX);
  EXPECT_EQ(result.text(0, 1), "it's \\ \xc3\xa4");
  EXPECT_EQ(store->query("SELECT sum(position) FROM frames WHERE stack = 0").number(0, 0), 0);
}

TEST_F(SqliteTest, ABatchThatFailsInTheMiddleIsNotThere) {
  const auto store = open();
  sqlite3* other = nullptr;
  sqlite3_open(path("fleet.db").c_str(), &other);
  sqlite3_exec(other,
               "CREATE TRIGGER t BEFORE INSERT ON size_classes WHEN new.block_bytes = 2 "
               "BEGIN SELECT RAISE(ABORT, 'no'); END",
               nullptr, nullptr, nullptr);
  const Batch batch = numbered(1);
  EXPECT_THROW(store->apply(batch), host::Error);
  EXPECT_EQ(count(), 0);
  sqlite3_exec(other, "DROP TRIGGER t", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  EXPECT_TRUE(store->apply(batch));
  EXPECT_EQ(count(), 3);
}

TEST_F(SqliteTest, AnotherVersionIsRefused) {
  open();
  sqlite3* other = nullptr;
  sqlite3_open(path("fleet.db").c_str(), &other);
  sqlite3_exec(other, "UPDATE fleet SET version = 77", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  try {
    open();
    FAIL();
  } catch (const host::Error& error) {
    EXPECT_NE(std::string(error.what()).find("version 77"), std::string::npos);
  }
}

TEST_F(SqliteTest, WhatIsNoDatabaseOfOursIsRefused) {
  std::ofstream(path("fleet.db")) << std::string(5000, 'x');
  EXPECT_THROW(open(), host::Error);
  fs::remove(path("fleet.db"));
  sqlite3* other = nullptr;
  sqlite3_open(path("fleet.db").c_str(), &other);
  sqlite3_exec(other, "CREATE TABLE mine (x)", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  EXPECT_THROW(open(), host::Error);
}

TEST_F(SqliteTest, OneThatWasMovedAwayTakesNothing) {
  const auto store = open();
  fs::rename(path("fleet.db"), path("elsewhere.db"));
  EXPECT_THROW(store->apply(numbered(1)), Unavailable);
  EXPECT_THROW(SqliteStore(path("fleet.db"), true), Unavailable);
  fs::rename(path("elsewhere.db"), path("fleet.db"));
  EXPECT_EQ(count(), 0);
}

TEST_F(SqliteTest, OldFactsGo) {
  const auto store = open();
  for (int64_t i = 0; i < 10; ++i) store->apply(numbered(i));
  store->remove_before(7);
  EXPECT_EQ(count(), 9);
  EXPECT_EQ(store->query("SELECT min(time_ns) FROM size_classes").number(0, 0), 7);
}

// Says of one batch in three that the database is away: before it was taken, or after, so that the
// answer is lost.
class Unreliable : public Store {
 public:
  Unreliable(std::unique_ptr<Store> under, std::mt19937& random)
      : under_(std::move(under)), random_(random) {}
  void prepare() override { under_->prepare(); }
  bool is_prepared() override { return under_->is_prepared(); }
  bool apply(const Batch& batch) override {
    const unsigned fate = random_() % 6;
    if (fate == 0) throw Unavailable("away");
    const bool is_new = under_->apply(batch);
    if (fate == 1) throw Unavailable("no answer");
    return is_new;
  }
  bool has(std::string_view id) override { return under_->has(id); }
  Result query(const std::string& sql) override { return under_->query(sql); }
  Result ask_freely(const std::string& sql) override { return under_->ask_freely(sql); }
  void remove_before(int64_t time_ns) override { under_->remove_before(time_ns); }
  const Dialect& dialect() const override { return under_->dialect(); }

 private:
  std::unique_ptr<Store> under_;
  std::mt19937& random_;
};

TEST_F(SqliteTest, ShippingLosesAndDoublesNothing) {
  constexpr int64_t kBatches = 40;
  std::mt19937 random(4711);
  Spool spool(path("spool"), 1 << 20);
  std::atomic<int> lines = 0;
  {
    Shipper shipper(
        spool, [&] { return std::make_unique<Unreliable>(open(), random); },
        [&](const std::string&) { ++lines; });
    for (int64_t i = 0; i < kBatches; ++i) {
      ASSERT_TRUE(spool.put(numbered(i)));
      shipper.wake();
    }
    // At the end it does not wait a minute between two attempts.
    shipper.finish(60);
  }
  EXPECT_EQ(spool.content().batches, 0u);
  EXPECT_EQ(count(), 3 * kBatches);
  EXPECT_EQ(open()->query("SELECT count(DISTINCT time_ns) FROM size_classes").number(0, 0),
            kBatches);
  EXPECT_GT(lines, 0);
}

TEST(Backoff, DoublesUpToAMinute) {
  EXPECT_EQ(backoff_ms(0), 0u);
  EXPECT_EQ(backoff_ms(1), 1000u);
  EXPECT_EQ(backoff_ms(2), 2000u);
  EXPECT_EQ(backoff_ms(6), 32000u);
  EXPECT_EQ(backoff_ms(7), 60000u);
  EXPECT_EQ(backoff_ms(1000), 60000u);
}

}  // namespace
}  // namespace tide::fleet
