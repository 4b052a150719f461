#include "fleet/store.h"

#include <fmt/format.h>

#include <algorithm>

#include "fleet/clickhouse_store.h"
#include "fleet/sql_text.h"
#include "fleet/sqlite_store.h"
#include "host/error.h"

namespace tide::fleet {

int64_t Result::number(size_t row, size_t column) const {
  const ResultCell& cell = rows[row][column];
  if (const double* const value = std::get_if<double>(&cell)) return static_cast<int64_t>(*value);
  const int64_t* const value = std::get_if<int64_t>(&cell);
  return value == nullptr ? 0 : *value;
}

const std::string& Result::text(size_t row, size_t column) const {
  static const std::string empty;
  const std::string* const value = std::get_if<std::string>(&rows[row][column]);
  return value == nullptr ? empty : *value;
}

void refuse_second_question(std::string_view rest) {
  constexpr size_t kMostShown = 60;
  rest = behind_blanks(rest);
  const std::string_view shown = rest.substr(0, std::min(rest.find_first_of("\r\n"), kMostShown));
  throw host::Error(fmt::format("one question at a time; behind the first stands '{}'", shown));
}

std::unique_ptr<Store> open_store(const DatabaseAddress& address, bool must_exist) {
  if (!address.path.empty()) return std::make_unique<SqliteStore>(address.path, must_exist);
  return std::make_unique<ClickHouseStore>(address);
}

}  // namespace tide::fleet
