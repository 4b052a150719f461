#include "fleet/profile_questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

namespace tide::fleet {
namespace {

struct Columns {
  std::string_view bytes;
  std::string_view blocks;
  std::string_view condition;
};

Columns columns_of(ProfileKind kind) {
  switch (kind) {
    case ProfileKind::kAllocated:
      return {"allocated_bytes", "allocated_blocks", ""};
    case ProfileKind::kPeak:
      return {"peak_bytes", "0", ""};
    case ProfileKind::kLifetime:
      return {"freed_bytes", "freed_blocks", ""};
    case ProfileKind::kFragmentation:
      return {"pinned_bytes", "live_blocks", " AND pages = 2"};
    case ProfileKind::kResidency:
      return {"resident_bytes", "live_blocks", " AND pages > 0"};
    case ProfileKind::kInUse:
    case ProfileKind::kGrowth:
      break;
  }
  return {"live_bytes", "live_blocks", ""};
}

using Groups = std::map<ResultCell, ProfileRow>;

// Sums over the last (`edge` max) or first (min) profile of each process, by group.
Groups sums(Store& store, ProfileKind kind, By by, const Selection& selection,
            std::string_view edge) {
  const Dialect& dialect = store.dialect();
  const Columns columns = columns_of(kind);
  const std::string condition = condition_of(selection, dialect) + std::string(columns.condition);
  const std::string chosen = dialect.among(
      "(process, time_ns)", fmt::format("SELECT process, {}(time_ns) FROM {} GROUP BY process",
                                        edge, dialect.from(TableId::kProfiles, condition)));
  const Result result = store.query(
      fmt::format("SELECT {0}, count(DISTINCT process), sum({1}), sum({2}), sum(live_bytes), "
                  "sum(swapped_bytes), sum(absent_bytes), sum(lifetime_ns) FROM {3} GROUP BY {0}",
                  column_of(by), columns.bytes, columns.blocks,
                  dialect.from(TableId::kProfiles, condition + " AND " + chosen)));
  Groups groups;
  for (size_t i = 0; i < result.rows.size(); ++i) {
    ProfileRow& row = groups[result.rows[i][0]];
    row.name = name_of(by, result.rows[i][0]);
    if (by == By::kStack) row.stack = result.number(i, 0);
    row.processes = result.number(i, 1);
    row.bytes = result.number(i, 2);
    row.blocks = result.number(i, 3);
    row.live_bytes = result.number(i, 4);
    row.swapped_bytes = result.number(i, 5);
    row.absent_bytes = result.number(i, 6);
    row.lifetime_ns = result.number(i, 7);
  }
  return groups;
}

}  // namespace

std::vector<ProfileRow> profile_rows(Store& store, ProfileKind kind, By by,
                                     const Selection& selection, size_t most) {
  Groups groups = sums(store, kind, by, selection, "max");
  if (kind == ProfileKind::kGrowth) {
    for (const auto& [key, first] : sums(store, kind, by, selection, "min")) {
      ProfileRow& row = groups[key];
      row.name = first.name;
      row.stack = first.stack;
      row.bytes -= first.bytes;
      row.blocks -= first.blocks;
    }
  }
  std::vector<ProfileRow> rows;
  for (auto& [key, row] : groups) {
    if (row.bytes != 0) rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const ProfileRow& a, const ProfileRow& b) { return a.bytes > b.bytes; });
  rows.resize(std::min(rows.size(), most));
  return rows;
}

}  // namespace tide::fleet
