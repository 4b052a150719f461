// Rows in ClickHouse's format Native: https://clickhouse.com/docs/en/interfaces/formats#native
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fleet/batch.h"

namespace tide::fleet {

// With `attempt`: a column of that value, `batch`, behind the table's own.
std::string native_block(const Rows& rows, std::optional<int64_t> attempt);

std::string_view clickhouse_type(Type type);

}  // namespace tide::fleet
