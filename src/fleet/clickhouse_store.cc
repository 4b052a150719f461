#include "fleet/clickhouse_store.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "fleet/native_block.h"
#include "fleet/sql_text.h"

namespace tide::fleet {
namespace {

constexpr long kTimeoutSeconds = 600;

// Codes of errors that may pass: https://github.com/ClickHouse/ClickHouse, ErrorCodes.
constexpr int kPassing[] = {
    159,  // TIMEOUT_EXCEEDED
    202,  // TOO_MUCH_SIMULTANEOUS_QUERIES
    209,  // SOCKET_TIMEOUT
    210,  // NETWORK_ERROR
    236,  // ABORTED
    241,  // MEMORY_LIMIT_EXCEEDED
    243,  // NOT_ENOUGH_SPACE
    252,  // TOO_MUCH_PARTS
    279,  // ALL_CONNECTION_TRIES_FAILED
    341,  // UNFINISHED
};
constexpr int kUnknownDatabase = 81;
constexpr int kNoRights[] = {192, 193, 194, 516};  // user, password

template <size_t N>
bool is_one_of(int code, const int (&codes)[N]) {
  for (const int known : codes) {
    if (code == known) return true;
  }
  return false;
}

class ClickHouseDialect : public Dialect {
 public:
  ClickHouseDialect(std::string database, bool is_cluster)
      : database_(std::move(database)), is_cluster_(is_cluster) {}

  std::string quotient(std::string_view a, std::string_view b) const override {
    return fmt::format("intDiv({}, {})", a, b);
  }
  std::string among(std::string_view columns, std::string_view question) const override {
    return fmt::format("{} GLOBAL IN ({})", columns, question);
  }
  // In a cluster each shard looks at its own batches.
  std::string from(TableId id, std::string_view condition) const override {
    const Table& wanted = table(id);
    if (!wanted.is_fact) return fmt::format("{} WHERE {}", wanted.name, condition);
    return fmt::format("{} WHERE ({}) AND {}", stored(wanted.name), condition, counts());
  }
  std::string literal(std::string_view text) const override {
    std::string out = "'";
    for (const char c : text) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    return out + "'";
  }

  // The table that holds a table's rows, on all shards.
  std::string stored(std::string_view name) const {
    return fmt::format("`{}`.{}_{}", database_, name, is_cluster_ ? "all" : "rows");
  }
  // The table that holds those on this server.
  std::string rows_here(std::string_view name) const {
    return fmt::format("`{}`.{}_rows", database_, name);
  }
  // Whether a row is of the attempt that its batch is.
  std::string counts() const {
    return fmt::format("batch IN (SELECT min(batch) FROM `{}`.batches_rows GROUP BY batch_id)",
                       database_);
  }

 private:
  const std::string database_;
  const bool is_cluster_;
};

std::string columns_of(const Table& table) {
  std::string columns;
  for (const Column& column : table.columns) {
    columns += fmt::format("{}{} {}", columns.empty() ? "" : ", ", column.name,
                           clickhouse_type(column.type));
  }
  return columns;
}

bool is_key(const Table& table, std::string_view column) {
  return fmt::format(",{},", table.key).find(fmt::format(",{},", column)) != std::string::npos;
}

// Of a description: each key once.
std::string description_view(const Table& table, const std::string& stored) {
  std::string columns;
  for (const Column& column : table.columns) {
    columns += columns.empty() ? "" : ", ";
    columns += is_key(table, column.name) ? std::string(column.name)
                                          : fmt::format("max({0}) AS {0}", column.name);
  }
  return fmt::format("SELECT {} FROM {} GROUP BY {}", columns, stored, table.key);
}

std::string fact_view(const Table& table, const ClickHouseDialect& dialect,
                      const std::string& stored) {
  std::string columns;
  for (const Column& column : table.columns) {
    columns += (columns.empty() ? "" : ", ") + std::string(column.name);
  }
  return fmt::format("SELECT {} FROM {} WHERE {}", columns, stored, dialect.counts());
}

int code_of(std::string_view answer) {
  constexpr std::string_view kStart = "Code: ";
  const size_t at = answer.find(kStart);
  int code = 0;
  if (at != std::string_view::npos) {
    std::from_chars(answer.data() + at + kStart.size(), answer.data() + answer.size(), code);
  }
  return code;
}

// One line, without what is said about stacks and versions.
std::string message_of(std::string_view answer) {
  for (const std::string_view start : {"displayText() = ", "DB::Exception: "}) {
    const size_t at = answer.find(start);
    if (at != std::string_view::npos) answer.remove_prefix(at + start.size());
  }
  for (const std::string_view end : {", e.what()", "\n", " (version "}) {
    answer = answer.substr(0, answer.find(end));
  }
  constexpr size_t kMost = 300;
  return std::string(answer.substr(0, kMost));
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (const char c = text[++i]) {
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case 'r':
        out += '\r';
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case '0':
        out += '\0';
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const size_t tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return fields;
    line.remove_prefix(tab + 1);
  }
}

ResultCell cell_of(std::string_view type, std::string_view text) {
  const bool is_whole = type.find("Int") != std::string_view::npos;
  if (is_whole && !type.starts_with("Array")) {
    // What needs 64 bits without a sign comes out as it goes in.
    int64_t number = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (fault == std::errc::result_out_of_range) {
      return static_cast<int64_t>(std::strtoull(std::string(text).c_str(), nullptr, 10));
    }
    return number;
  }
  if (type.starts_with("Float")) return std::strtod(std::string(text).c_str(), nullptr);
  return unescaped(text);
}

// TabSeparatedWithNamesAndTypes.
Result parse_result(std::string_view text) {
  Result result;
  std::vector<std::string> types;
  for (size_t number = 0; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::vector<std::string_view> fields = fields_of(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (number == 0) {
      for (const std::string_view field : fields) result.columns.push_back(unescaped(field));
    } else if (number == 1) {
      types.assign(fields.begin(), fields.end());
    } else {
      std::vector<ResultCell>& row = result.rows.emplace_back();
      for (size_t i = 0; i < fields.size() && i < types.size(); ++i) {
        row.push_back(cell_of(types[i], fields[i]));
      }
      if (row.size() != result.columns.size()) throw host::Error("ClickHouse sent half a row");
    }
  }
  return result;
}

}  // namespace

ClickHouseStore::ClickHouseStore(const DatabaseAddress& address)
    : address_(address),
      dialect_(std::make_unique<ClickHouseDialect>(address.database, !address.cluster.empty())) {
  if (!address_.user.empty()) headers_.emplace_back("X-ClickHouse-User", address_.user);
  if (!address_.password.empty()) headers_.emplace_back("X-ClickHouse-Key", address_.password);
}

ClickHouseStore::~ClickHouseStore() = default;

void ClickHouseStore::fail(size_t server, const std::string& answer) const {
  const int code = code_of(answer);
  const DatabaseAddress::Endpoint& at = address_.endpoints[server];
  const std::string who = fmt::format("ClickHouse at {}:{}", at.host, at.port);
  if (code == kUnknownDatabase) {
    throw host::Error(fmt::format("{} has no database '{}'; make it there: CREATE DATABASE {}", who,
                                  address_.database, address_.database));
  }
  if (is_one_of(code, kNoRights)) {
    throw host::Error(
        fmt::format("{} lets user '{}' not in; the password is in "
                    "TIDE_FLEET_PASSWORD or a --password-file",
                    who, address_.user.empty() ? "default" : address_.user));
  }
  const std::string text = fmt::format("{}: {}", who, message_of(answer));
  if (code == 0 || is_one_of(code, kPassing)) throw Unavailable(text);
  throw host::Error(text);
}

std::string ClickHouseStore::ask(size_t server, const std::string& sql, std::string_view data,
                                 bool only_reads) {
  const DatabaseAddress::Endpoint& at = address_.endpoints[server];
  const bool is_six = at.host.find(':') != std::string::npos;
  const std::string host = is_six ? "[" + at.host + "]" : at.host;
  std::string url = fmt::format("{}://{}:{}/?database={}&wait_end_of_query=1",
                                address_.has_tls ? "https" : "http", host, at.port,
                                host::url_escaped(address_.database));
  if (only_reads) url += "&readonly=2";  // of its values the one that lets settings be set
  // A question goes as the body; what is inserted is the body itself.
  if (!data.empty()) url += "&query=" + host::url_escaped(sql);
  host::HttpRequest request{.url = std::move(url),
                            .headers = headers_,
                            .body = std::string(data.empty() ? std::string_view(sql) : data),
                            .timeout_seconds = kTimeoutSeconds,
                            .most_answer_bytes = SIZE_MAX,
                            // It is for the world outside, and would see the password.
                            .uses_proxy = false};
  std::string fault;
  std::optional<host::HttpResponse> reply = client_.try_post(request, fault);
  if (!reply) {
    throw Unavailable(
        fmt::format("ClickHouse at {}:{} does not answer: {}", at.host, at.port, fault));
  }
  constexpr int kOk = 200;
  if (reply->status != kOk) fail(server, reply->body);
  return std::move(reply->body);
}

Result ClickHouseStore::query_on(size_t server, const std::string& sql) {
  return parse_result(ask(server, sql + " FORMAT TabSeparatedWithNamesAndTypes"));
}

Result ClickHouseStore::query(const std::string& sql) { return query_on(0, sql); }

// A user that may only read must not say so again.
Result ClickHouseStore::ask_freely(const std::string& sql) {
  const size_t end = end_of_statement(sql);
  const std::string_view rest = behind_blanks(std::string_view(sql).substr(end));
  if (!rest.empty()) refuse_second_question(rest);
  const Result known = query("SELECT value FROM system.settings WHERE name = 'readonly'");
  const bool may_write = known.rows.empty() || known.text(0, 0) == "0";
  return parse_result(
      ask(0, sql.substr(0, end) + "\nFORMAT TabSeparatedWithNamesAndTypes", {}, may_write));
}

bool ClickHouseStore::is_prepared_on(size_t server) {
  if (query_on(server, fmt::format("SELECT 1 FROM system.databases WHERE name = {}",
                                   dialect_->literal(address_.database)))
          .rows.empty()) {
    fail(server, fmt::format("Code: {}", kUnknownDatabase));
  }
  if (query_on(server, "EXISTS TABLE fleet").number(0, 0) == 0) return false;
  const Result version = query_on(server, "SELECT max(version), count() FROM fleet");
  if (version.number(0, 1) == 0) return false;
  if (version.number(0, 0) == kSchemaVersion) return true;
  throw host::Error(
      fmt::format("the database '{}' has schema version {}, this tide knows version {}; use the "
                  "tide that made it, or another database",
                  address_.text(), version.number(0, 0), kSchemaVersion));
}

bool ClickHouseStore::is_prepared() {
  for (size_t server = 0; server < address_.endpoints.size(); ++server) {
    if (!is_prepared_on(server)) return false;
  }
  return true;
}

// Each step may have been done before. The version is last: where it stands all else does.
void ClickHouseStore::prepare_on(size_t server) {
  const auto& dialect = static_cast<const ClickHouseDialect&>(*dialect_);
  const std::string database = fmt::format("`{}`", address_.database);
  const auto distribute = [&](std::string_view name) {
    if (!is_cluster()) return;
    ask(server, fmt::format("CREATE TABLE IF NOT EXISTS {0}.{1}_all AS {0}.{1}_rows "
                            "ENGINE = Distributed({2}, {3}, {1}_rows)",
                            database, name, dialect.literal(address_.cluster),
                            dialect.literal(address_.database)));
  };
  ask(server, fmt::format("CREATE TABLE IF NOT EXISTS {}.batches_rows (batch_id String, batch "
                          "Int64, host String) ENGINE = MergeTree ORDER BY batch_id",
                          database));
  distribute("batches");
  for (const Table& table : tables()) {
    ask(server,
        fmt::format("CREATE TABLE IF NOT EXISTS {}.{}_rows ({}{}) ENGINE = {} ORDER BY "
                    "({})",
                    database, table.name, columns_of(table), table.is_fact ? ", batch Int64" : "",
                    table.is_fact ? "MergeTree" : "ReplacingMergeTree", table.key));
    distribute(table.name);
    const std::string stored = dialect.stored(table.name);
    ask(server, fmt::format("CREATE VIEW IF NOT EXISTS {}.{} AS {}", database, table.name,
                            table.is_fact ? fact_view(table, dialect, stored)
                                          : description_view(table, stored)));
    if (!table.is_fact || !is_cluster()) continue;
    // Of a view over all servers the one that is asked gets every row. Here each leaves out what
    // does not count and adds up the rest by itself; what is joined must be named in full.
    ask(server, fmt::format("CREATE VIEW IF NOT EXISTS {}.{}_here AS {}", database, table.name,
                            fact_view(table, dialect, dialect.rows_here(table.name))));
    ask(server,
        fmt::format("CREATE TABLE IF NOT EXISTS {}.{}_shards ({}) ENGINE = "
                    "Distributed({}, {}, {}_here)",
                    database, table.name, columns_of(table), dialect.literal(address_.cluster),
                    dialect.literal(address_.database), table.name));
  }
  ask(server,
      "CREATE TABLE IF NOT EXISTS fleet (version Int64) ENGINE = MergeTree ORDER BY "
      "version");
  ask(server, fmt::format("INSERT INTO fleet VALUES ({})", kSchemaVersion));
}

void ClickHouseStore::prepare() {
  for (size_t server = 0; server < address_.endpoints.size(); ++server) {
    if (!is_prepared_on(server)) prepare_on(server);
  }
}

size_t ClickHouseStore::shard_of(std::string_view batch_id) const {
  return static_cast<size_t>(number_of(batch_id)) % address_.endpoints.size();
}

bool ClickHouseStore::has(std::string_view batch_id) {
  return query_on(shard_of(batch_id),
                  fmt::format("SELECT count() FROM batches_rows WHERE batch_id = {}",
                              dialect_->literal(batch_id)))
             .number(0, 0) != 0;
}

bool ClickHouseStore::apply(const Batch& batch) {
  if (has(batch.id)) return false;
  const size_t server = shard_of(batch.id);
  const int64_t attempt = number_of(new_batch_id());
  for (const Rows& rows : batch.tables) {
    if (rows.size() == 0) continue;
    const Table& table = rows.table();
    ask(server, fmt::format("INSERT INTO {}_rows FORMAT Native", table.name),
        native_block(rows, table.is_fact ? std::optional(attempt) : std::nullopt));
  }
  ask(server, fmt::format("INSERT INTO batches_rows VALUES ({}, {}, {})",
                          dialect_->literal(batch.id), attempt, dialect_->literal(batch.host)));
  return true;
}

void ClickHouseStore::remove_before(int64_t time_ns) {
  const Result old = query(fmt::format("SELECT trace FROM traces WHERE time_ns < {}", time_ns));
  std::string traces;
  for (size_t i = 0; i < old.rows.size(); ++i) {
    traces += fmt::format("{}{}", i == 0 ? "" : ",", old.number(i, 0));
  }
  for (size_t server = 0; server < address_.endpoints.size(); ++server) {
    if (!traces.empty()) {
      ask(server, fmt::format("ALTER TABLE trace_events_rows DELETE WHERE trace IN ({})", traces));
    }
    for (const Table& table : tables()) {
      if (table.time.empty()) continue;
      ask(server,
          fmt::format("ALTER TABLE {}_rows DELETE WHERE {} < {}", table.name, table.time, time_ns));
    }
  }
}

}  // namespace tide::fleet
