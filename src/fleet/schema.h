// The tables of the fleet's database: one description, from which both engines' tables, the batches
// that fill them and `tide fleet schema` are made.
//
// Numbers are signed integers of at most 64 bits and texts UTF-8, in both engines, and nothing is
// null; so sums and orders are the same. A fact is a row that is written once. A description
// (of a process, of a call stack) may come again with other values: one of them is kept.
//
// A change here counts kSchemaVersion up; a database of another version is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace tide::fleet {

inline constexpr int64_t kSchemaVersion = 3;

enum class Type : uint8_t { kInt8, kInt32, kInt64, kText };

struct Column {
  std::string_view name;
  Type type;
  std::string_view meaning;
};

struct Table {
  std::string_view name;
  std::string_view meaning;
  std::span<const Column> columns;
  std::string_view key;   // columns with commas between; no two rows have the same
  std::string_view time;  // the column that says how old a row is; empty: kept for ever
  bool is_fact;
};

enum class TableId : uint8_t {
  kHosts,
  kProcesses,
  kStacks,
  kFrames,
  kStatistics,
  kSizeClasses,
  kProfiles,
  kTraces,
  kTraceProcesses,
  kTraceThreads,
  kTraceStacks,
  kTraceMemory,
  kTraceMarkers,
  kTraceCalls,
  kTraceEvents,
};

// In the order of TableId.
std::span<const Table> tables();
inline const Table& table(TableId id) { return tables()[static_cast<size_t>(id)]; }
// Its place in TableId; SIZE_MAX: there is none of that name.
size_t find_table(std::string_view name);
// Throws std::out_of_range.
size_t column_of(const Table& table, std::string_view name);

}  // namespace tide::fleet
