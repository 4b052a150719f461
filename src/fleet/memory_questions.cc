#include "fleet/memory_questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace tide::fleet {
namespace {

TableId table_of(By by) {
  return by == By::kStack   ? TableId::kProfiles
         : by == By::kClass ? TableId::kSizeClasses
                            : TableId::kStatistics;
}

// Live bytes in a row of the table.
std::string_view live_bytes_of(By by) {
  return by == By::kClass ? "live_blocks * block_bytes" : "live_bytes";
}

// Of each process the last row of the selection; with a step, in each step of time.
std::string last_rows(const Store& store, TableId table, const Selection& selection,
                      int64_t step_ns) {
  const Dialect& dialect = store.dialect();
  const std::string condition = condition_of(selection, dialect);
  const std::string step =
      step_ns == 0 ? "" : ", " + dialect.quotient("time_ns", std::to_string(step_ns));
  const std::string last = dialect.among(
      "(process, time_ns)", fmt::format("SELECT process, max(time_ns) FROM {} GROUP BY process{}",
                                        dialect.from(table, condition), step));
  return dialect.from(table, condition + " AND " + last);
}

// Sums of live bytes by group, and how many rows of processes there were.
std::map<ResultCell, double> averages(Store& store, By by, const Selection& selection) {
  const Dialect& dialect = store.dialect();
  const std::string condition = condition_of(selection, dialect);
  const Result sums =
      store.query(fmt::format("SELECT {0}, sum({1}), count(*) FROM {2} GROUP BY {0}", column_of(by),
                              live_bytes_of(by), dialect.from(table_of(by), condition)));
  // A stack or class that a process does not have has no row.
  double looks = 0;
  if (by == By::kStack || by == By::kClass) {
    const Result times = store.query(
        fmt::format("SELECT count(*) FROM (SELECT process, time_ns FROM {} GROUP BY process, "
                    "time_ns) AS looks",
                    dialect.from(table_of(by), condition)));
    looks = static_cast<double>(times.number(0, 0));
  }
  std::map<ResultCell, double> found;
  for (size_t i = 0; i < sums.rows.size(); ++i) {
    const double count = looks != 0 ? looks : static_cast<double>(sums.number(i, 2));
    found[sums.rows[i][0]] = static_cast<double>(sums.number(i, 1)) / count;
  }
  return found;
}

// Of a stack in a process: bytes by step.
struct Course {
  std::string host;
  std::vector<std::pair<int64_t, double>> points;
};

bool is_growing(const Course& course, const LeakSearch& search) {
  const auto& points = course.points;
  if (static_cast<int64_t>(points.size()) <= search.steps ||
      points.back().first - points.front().first < search.steps) {
    return false;
  }
  size_t upwards = 0;
  for (size_t i = 1; i < points.size(); ++i) upwards += points[i].second > points[i - 1].second;
  constexpr double kMost = 0.8;  // a sample lost here and there is no end of a leak
  constexpr double kLeastGrowth = 1.1;
  return static_cast<double>(upwards) >= kMost * static_cast<double>(points.size() - 1) &&
         points.back().second > points.front().second * kLeastGrowth;
}

// By least squares.
double slope_of(const Course& course) {
  double x = 0;
  double y = 0;
  const double count = static_cast<double>(course.points.size());
  for (const auto& [step, bytes] : course.points) {
    x += static_cast<double>(step - course.points.front().first) / count;
    y += bytes / count;
  }
  double above = 0;
  double below = 0;
  for (const auto& [step, bytes] : course.points) {
    const double distance = static_cast<double>(step - course.points.front().first) - x;
    above += distance * (bytes - y);
    below += distance * distance;
  }
  return below == 0 ? 0 : above / below;
}

std::string list_of(const std::vector<int64_t>& numbers) {
  std::string list;
  for (const int64_t number : numbers) list += fmt::format("{}{}", list.empty() ? "" : ",", number);
  return list;
}

}  // namespace

std::string_view column_of(By by) {
  switch (by) {
    case By::kHost:
      return "host";
    case By::kService:
      return "service";
    case By::kVersion:
      return "version";
    case By::kCommand:
      return "command";
    case By::kContainer:
      return "container";
    case By::kProcess:
      return "process";
    case By::kStack:
      return "stack";
    case By::kClass:
      break;
  }
  return "block_bytes";
}

std::string name_of(By by, const ResultCell& cell) {
  if (by == By::kStack) return {};
  const std::string* const text = std::get_if<std::string>(&cell);
  return text != nullptr ? *text : fmt::format("{}", std::get<int64_t>(cell));
}

std::string condition_of(const Selection& selection, const Dialect& dialect) {
  std::string text =
      fmt::format("time_ns >= {} AND time_ns <= {}", selection.from_ns, selection.to_ns);
  const std::pair<std::string_view, const std::string&> parts[] = {
      {"host", selection.host},
      {"service", selection.service},
      {"version", selection.version},
      {"container", selection.container}};
  for (const auto& [column, value] : parts) {
    if (!value.empty()) text += fmt::format(" AND {} = {}", column, dialect.literal(value));
  }
  return text;
}

int64_t newest(Store& store, TableId table) {
  const Result result =
      store.query(fmt::format("SELECT max(time_ns) FROM {}", store.dialect().from(table, "1 = 1")));
  return result.rows.empty() ? 0 : result.number(0, 0);
}

std::vector<TopRow> top_rows(Store& store, By by, const Selection& selection, size_t most) {
  const TableId table = table_of(by);
  std::string sums;
  if (table == TableId::kStatistics) {
    sums =
        "sum(live_bytes), sum(live_blocks), sum(rss_bytes), sum(cached_bytes), "
        "sum(free_dirty_bytes), sum(returned_bytes), sum(metadata_bytes), 0";
  } else if (table == TableId::kSizeClasses) {
    sums =
        "sum(live_blocks * block_bytes), sum(live_blocks), 0, sum(cached_blocks * block_bytes), "
        "0, 0, 0, 0";
  } else {
    sums =
        "sum(live_bytes), sum(live_blocks), 0, 0, 0, 0, 0, "
        "sum(1.0 * live_error_bytes * live_error_bytes)";
  }
  const Result result = store.query(fmt::format(
      "SELECT {0}, count(DISTINCT process), {1} FROM {2} GROUP BY {0} ORDER BY "
      "sum({3}) DESC, {0} LIMIT {4}",
      column_of(by), sums, last_rows(store, table, selection, 0), live_bytes_of(by), most));
  std::vector<TopRow> rows;
  for (size_t i = 0; i < result.rows.size(); ++i) {
    TopRow row;
    row.name = name_of(by, result.rows[i][0]);
    if (by == By::kStack) row.stack = result.number(i, 0);
    row.processes = result.number(i, 1);
    row.live_bytes = result.number(i, 2);
    row.live_blocks = result.number(i, 3);
    row.rss_bytes = result.number(i, 4);
    row.cached_bytes = result.number(i, 5);
    row.free_dirty_bytes = result.number(i, 6);
    row.returned_bytes = result.number(i, 7);
    row.metadata_bytes = result.number(i, 8);
    row.error_bytes = std::llround(std::sqrt(static_cast<double>(result.number(i, 9))));
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<DifferenceRow> difference_rows(Store& store, By by, const Selection& before,
                                           const Selection& after, size_t most) {
  const auto first = averages(store, by, before);
  const auto second = averages(store, by, after);
  std::set<ResultCell> keys;
  for (const auto& [key, value] : first) keys.insert(key);
  for (const auto& [key, value] : second) keys.insert(key);
  std::vector<DifferenceRow> rows;
  for (const ResultCell& key : keys) {
    DifferenceRow row;
    row.name = name_of(by, key);
    if (by == By::kStack) row.stack = std::get<int64_t>(key);
    if (const auto at = first.find(key); at != first.end()) row.before = at->second;
    if (const auto at = second.find(key); at != second.end()) row.after = at->second;
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const DifferenceRow& a, const DifferenceRow& b) {
    return std::abs(a.after - a.before) > std::abs(b.after - b.before);
  });
  rows.resize(std::min(rows.size(), most));
  return rows;
}

std::vector<TimeRow> time_rows(Store& store, const Selection& selection, int64_t step_ns) {
  const std::string step = store.dialect().quotient("time_ns", std::to_string(step_ns));
  const Result result = store.query(fmt::format(
      "SELECT {0} AS step, count(*), sum(rss_bytes), sum(live_bytes), sum(cached_bytes), "
      "sum(free_dirty_bytes), sum(returned_bytes), sum(metadata_bytes) FROM {1} GROUP BY {0} "
      "ORDER BY step",
      step, last_rows(store, TableId::kStatistics, selection, step_ns)));
  std::vector<TimeRow> rows;
  for (size_t i = 0; i < result.rows.size(); ++i) {
    rows.push_back({result.number(i, 0) * step_ns, result.number(i, 1), result.number(i, 2),
                    result.number(i, 3), result.number(i, 4), result.number(i, 5),
                    result.number(i, 6), result.number(i, 7)});
  }
  return rows;
}

std::vector<LeakRow> leak_rows(Store& store, const Selection& selection, const LeakSearch& search,
                               size_t most) {
  const Dialect& dialect = store.dialect();
  const std::string condition = condition_of(selection, dialect);
  constexpr size_t kCandidates = 500;
  const Result candidates = store.query(fmt::format(
      "SELECT stack, sum(grown) FROM (SELECT stack, process, max(live_bytes) - min(live_bytes) AS "
      "grown FROM {} GROUP BY stack, process) AS courses GROUP BY stack HAVING sum(grown) >= {} "
      "ORDER BY sum(grown) DESC, stack LIMIT {}",
      dialect.from(TableId::kProfiles, condition), search.least_bytes, kCandidates));
  std::vector<int64_t> stacks;
  for (size_t i = 0; i < candidates.rows.size(); ++i) stacks.push_back(candidates.number(i, 0));
  if (stacks.empty()) return {};
  const std::string step = dialect.quotient("time_ns", std::to_string(search.step_ns));
  const Result result = store.query(fmt::format(
      "SELECT stack, process, {0} AS step, max(host), sum(live_bytes), count(*) FROM {1} GROUP BY "
      "stack, process, {0} ORDER BY stack, process, step",
      step,
      dialect.from(TableId::kProfiles,
                   fmt::format("{} AND stack IN ({})", condition, list_of(stacks)))));
  std::map<std::pair<int64_t, int64_t>, Course> courses;
  for (size_t i = 0; i < result.rows.size(); ++i) {
    Course& course = courses[{result.number(i, 0), result.number(i, 1)}];
    course.host = result.text(i, 3);
    course.points.emplace_back(result.number(i, 2), static_cast<double>(result.number(i, 4)) /
                                                        static_cast<double>(result.number(i, 5)));
  }
  std::map<int64_t, LeakRow> found;
  std::map<int64_t, std::set<std::string>> hosts;
  for (const auto& [key, course] : courses) {
    if (!is_growing(course, search)) continue;
    LeakRow& row = found[key.first];
    row.stack = key.first;
    ++row.processes;
    row.live_bytes += std::llround(course.points.back().second);
    row.grown_bytes += std::llround(course.points.back().second - course.points.front().second);
    row.bytes_per_step += slope_of(course);
    hosts[key.first].insert(course.host);
  }
  std::vector<LeakRow> rows;
  for (auto& [stack, row] : found) {
    row.hosts = static_cast<int64_t>(hosts[stack].size());
    if (row.hosts >= search.least_hosts && row.grown_bytes >= search.least_bytes) {
      rows.push_back(row);
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const LeakRow& a, const LeakRow& b) {
    return a.hosts != b.hosts ? a.hosts > b.hosts : a.bytes_per_step > b.bytes_per_step;
  });
  rows.resize(std::min(rows.size(), most));
  return rows;
}

std::vector<std::vector<std::string>> stack_functions(Store& store,
                                                      const std::vector<int64_t>& stacks) {
  std::vector<std::vector<std::string>> functions(stacks.size());
  if (stacks.empty()) return functions;
  std::map<int64_t, size_t> places;
  for (size_t i = 0; i < stacks.size(); ++i) places[stacks[i]] = i;
  const Result result = store.query(fmt::format(
      "SELECT stack, position, function FROM {} ORDER BY stack, position",
      store.dialect().from(TableId::kFrames, fmt::format("stack IN ({})", list_of(stacks)))));
  for (size_t i = 0; i < result.rows.size(); ++i) {
    functions[places[result.number(i, 0)]].push_back(result.text(i, 2));
  }
  // The same number may be asked for twice.
  for (size_t i = 0; i < stacks.size(); ++i) functions[i] = functions[places[stacks[i]]];
  return functions;
}

}  // namespace tide::fleet
