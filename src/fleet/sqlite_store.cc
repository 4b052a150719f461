#include "fleet/sqlite_store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <filesystem>

namespace tide::fleet {
namespace {

constexpr int kBusyMs = 5000;  // how long to wait for another writer

class SqliteDialect : public Dialect {
 public:
  std::string quotient(std::string_view a, std::string_view b) const override {
    return fmt::format("(({}) / ({}))", a, b);
  }
  std::string among(std::string_view columns, std::string_view question) const override {
    return fmt::format("{} IN ({})", columns, question);
  }
  std::string from(TableId id, std::string_view condition) const override {
    return fmt::format("{} WHERE {}", table(id).name, condition);
  }
  std::string literal(std::string_view text) const override {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
    return out + "'";
  }
};

std::string create_statement(const Table& table) {
  std::string columns;
  for (const Column& column : table.columns) {
    columns += fmt::format("{} {} NOT NULL, ", column.name,
                           column.type == Type::kText ? "TEXT" : "INTEGER");
  }
  return fmt::format("CREATE TABLE {} ({}PRIMARY KEY ({})) WITHOUT ROWID;", table.name, columns,
                     table.key);
}

// What may be otherwise in a moment, without anything done about this command.
bool is_passing(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
      return true;
    default:
      return false;
  }
}

}  // namespace

void SqliteStore::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}
void SqliteStore::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

SqliteStore::SqliteStore(const std::string& path, bool must_exist) : path_(path) {
  std::error_code error;
  if (must_exist && !std::filesystem::exists(path, error)) {
    throw Unavailable(
        fmt::format("there is no database '{}'; tide agent and tide fleet import make it", path));
  }
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (must_exist ? 0 : SQLITE_OPEN_CREATE);
  sqlite3* database = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
  database_.reset(database);
  if (code != SQLITE_OK) fail(code);
  sqlite3_busy_timeout(database, kBusyMs);
  run("PRAGMA synchronous = FULL");
}

SqliteStore::~SqliteStore() = default;

void SqliteStore::fail(int code) {
  const char* const what =
      database_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database_.get());
  const std::string text = fmt::format("the database '{}': {}", path_, what);
  if (is_passing(code)) throw Unavailable(text);
  throw host::Error(text);
}

SqliteStore::Statement SqliteStore::compile(const std::string& sql, const char** rest) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(database_.get(), sql.c_str(), -1, &statement, rest);
  if (code != SQLITE_OK) fail(code);
  return Statement(statement);
}

void SqliteStore::run(const std::string& sql) {
  const int code = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

bool SqliteStore::is_prepared() {
  const Result known = query("SELECT name FROM sqlite_master WHERE type = 'table'");
  if (known.rows.empty()) return false;
  bool has_meta = false;
  for (size_t i = 0; i < known.rows.size(); ++i) has_meta |= known.text(i, 0) == "fleet";
  if (!has_meta) {
    throw host::Error(fmt::format("the database '{}' is none of tide fleet's", path_));
  }
  const Result version = query("SELECT version FROM fleet");
  const int64_t found = version.rows.empty() ? 0 : version.number(0, 0);
  if (found != kSchemaVersion) {
    throw host::Error(
        fmt::format("the database '{}' has schema version {}, this tide knows version {}; use "
                    "the tide that made it, or another database",
                    path_, found, kSchemaVersion));
  }
  return true;
}

void SqliteStore::prepare() {
  run("BEGIN IMMEDIATE");
  try {
    if (!is_prepared()) {
      run("CREATE TABLE fleet (version INTEGER NOT NULL)");
      run(fmt::format("INSERT INTO fleet VALUES ({})", kSchemaVersion));
      run("CREATE TABLE batches (batch_id TEXT PRIMARY KEY, host TEXT NOT NULL) WITHOUT ROWID");
      for (const Table& table : tables()) run(create_statement(table));
      run("CREATE INDEX statistics_by_time ON statistics (time_ns)");
      run("CREATE INDEX profiles_by_time ON profiles (time_ns)");
      run("CREATE INDEX size_classes_by_time ON size_classes (time_ns)");
    }
    run("COMMIT");
  } catch (...) {
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

bool SqliteStore::has(std::string_view batch_id) {
  return !query(
              fmt::format("SELECT 1 FROM batches WHERE batch_id = {}", dialect().literal(batch_id)))
              .rows.empty();
}

// A database that was moved or removed while it is open would take the batch with it.
void SqliteStore::require_there() {
  int has_moved = 0;
  sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
  if (has_moved != 0) {
    throw Unavailable(fmt::format("the database '{}' has been moved away", path_));
  }
}

bool SqliteStore::apply(const Batch& batch) {
  run("BEGIN IMMEDIATE");
  try {
    require_there();
    const bool is_new = !has(batch.id);
    if (is_new) {
      for (const Rows& rows : batch.tables) insert(rows);
      run(fmt::format("INSERT INTO batches VALUES ({}, {})", dialect().literal(batch.id),
                      dialect().literal(batch.host)));
    }
    run("COMMIT");
    require_there();
    return is_new;
  } catch (...) {
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

void SqliteStore::insert(const Rows& rows) {
  const Table& table = rows.table();
  std::string places;
  for (size_t i = 0; i < table.columns.size(); ++i) places += i == 0 ? "?" : ",?";
  const Statement statement =
      compile(fmt::format("INSERT OR REPLACE INTO {} VALUES ({})", table.name, places));
  for (size_t row = 0; row < rows.size(); ++row) {
    for (size_t i = 0; i < table.columns.size(); ++i) {
      const int place = static_cast<int>(i) + 1;
      if (table.columns[i].type == Type::kText) {
        const std::string& text = rows.column(i).texts[row];
        sqlite3_bind_text(statement.get(), place, text.data(), static_cast<int>(text.size()),
                          SQLITE_STATIC);
      } else {
        sqlite3_bind_int64(statement.get(), place, rows.column(i).numbers[row]);
      }
    }
    const int code = sqlite3_step(statement.get());
    if (code != SQLITE_DONE) fail(code);
    sqlite3_reset(statement.get());
  }
}

Result SqliteStore::query(const std::string& sql) { return answer_of(compile(sql)); }

Result SqliteStore::answer_of(const Statement& statement) {
  Result result;
  if (statement == nullptr) return result;
  const int columns = sqlite3_column_count(statement.get());
  for (int i = 0; i < columns; ++i) {
    result.columns.emplace_back(sqlite3_column_name(statement.get(), i));
  }
  while (true) {
    const int code = sqlite3_step(statement.get());
    if (code == SQLITE_DONE) return result;
    if (code != SQLITE_ROW) fail(code);
    std::vector<ResultCell>& row = result.rows.emplace_back();
    for (int i = 0; i < columns; ++i) {
      switch (sqlite3_column_type(statement.get(), i)) {
        case SQLITE_FLOAT:
          row.emplace_back(sqlite3_column_double(statement.get(), i));
          break;
        case SQLITE_TEXT:
        case SQLITE_BLOB:
          row.emplace_back(
              std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), i)),
                          static_cast<size_t>(sqlite3_column_bytes(statement.get(), i))));
          break;
        default:  // the sum of nothing is 0
          row.emplace_back(int64_t{sqlite3_column_int64(statement.get(), i)});
      }
    }
  }
}

Result SqliteStore::ask_freely(const std::string& sql) {
  const char* rest = nullptr;
  const Statement statement = compile(sql, &rest);
  if (statement == nullptr || sqlite3_column_count(statement.get()) == 0 ||
      sqlite3_stmt_readonly(statement.get()) == 0) {
    throw host::Error(
        fmt::format("the database '{}': only questions are put to it, no changes", path_));
  }
  // A comment is no statement.
  while (*rest != '\0') {
    const char* const from = rest;
    sqlite3_stmt* more = nullptr;
    const int code = sqlite3_prepare_v2(database_.get(), from, -1, &more, &rest);
    const Statement owner(more);
    if (code != SQLITE_OK || more != nullptr) refuse_second_question(from);
    if (rest == from) break;
  }
  return answer_of(statement);
}

void SqliteStore::remove_before(int64_t time_ns) {
  run("BEGIN IMMEDIATE");
  try {
    run(
        fmt::format("DELETE FROM trace_events WHERE trace IN "
                    "(SELECT trace FROM traces WHERE time_ns < {})",
                    time_ns));
    for (const Table& table : tables()) {
      if (table.time.empty()) continue;
      run(fmt::format("DELETE FROM {} WHERE {} < {}", table.name, table.time, time_ns));
    }
    run("COMMIT");
  } catch (...) {
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

const Dialect& SqliteStore::dialect() const {
  static const SqliteDialect dialect;
  return dialect;
}

}  // namespace tide::fleet
