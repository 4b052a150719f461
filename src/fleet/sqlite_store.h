// The fleet's database as a file of SQLite: a batch is a transaction, and its id a row of it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/store.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tide::fleet {

class SqliteStore : public Store {
 public:
  // Throws Unavailable, host::Error.
  SqliteStore(const std::string& path, bool must_exist);
  ~SqliteStore() override;

  void prepare() override;
  bool is_prepared() override;
  bool apply(const Batch& batch) override;
  bool has(std::string_view batch_id) override;
  Result query(const std::string& sql) override;
  Result ask_freely(const std::string& sql) override;
  void remove_before(int64_t time_ns) override;
  const Dialect& dialect() const override;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;
  struct Close {
    void operator()(sqlite3* database) const;
  };

  Statement compile(const std::string& sql, const char** rest = nullptr);
  Result answer_of(const Statement& statement);
  void run(const std::string& sql);
  void insert(const Rows& rows);
  [[noreturn]] void fail(int code);
  void require_there();

  const std::string path_;
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace tide::fleet
