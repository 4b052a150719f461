#include "report/call_plots.h"

#include "format/trace_call.h"
#include "report/size_labels.h"

namespace tide::report {

Axis time_axis() { return {"time since the recording began", "ns"}; }

Points live_curve(const trace::Timeline& timeline) {
  Points points;
  for (size_t i = 0; i < timeline.bins().size(); ++i) {
    points.emplace_back(static_cast<double>(timeline.begin_ns() + i * timeline.step_ns()),
                        static_cast<double>(timeline.bins()[i].most_live_bytes));
  }
  return points;
}

Json rate_plot(const std::string& id, const trace::Timeline& timeline) {
  Points points;
  const double seconds = static_cast<double>(timeline.step_ns()) / 1e9;
  for (size_t i = 0; i < timeline.bins().size(); ++i) {
    points.emplace_back(static_cast<double>(timeline.begin_ns() + i * timeline.step_ns()),
                        static_cast<double>(timeline.bins()[i].calls) / seconds);
  }
  return lines({id + "-rate", "Calls a second",
                "How busy the allocator was. Bursts are where its speed matters."},
               time_axis(), {"calls a second", "rate"}, {{"Calls", 5, points, "", false, true}},
               true);
}

Json heat_plot(const std::string& id, const HeatMap& heat_map) {
  trace::Histogram used;
  for (const HeatMap::Column& column : heat_map.columns()) {
    for (size_t row = 0; row < HeatMap::kRows; ++row) {
      used.bins[row].count += column.allocations[row] + column.live_bytes[row];
    }
  }
  const BinRange range = used_bins(used);
  std::vector<std::string> rows;
  for (size_t row = range.first; row < range.end; ++row) rows.push_back(size_label(row));
  std::vector<double> columns;
  std::vector<Cell> live;
  std::vector<Cell> made;
  for (size_t i = 0; i < heat_map.columns().size(); ++i) {
    const HeatMap::Column& column = heat_map.columns()[i];
    columns.push_back(static_cast<double>(heat_map.begin_ns() + i * heat_map.step_ns()));
    for (size_t row = range.first; row < range.end; ++row) {
      const auto add = [&](std::vector<Cell>& cells, uint64_t value) {
        if (value != 0) cells.push_back({i, row - range.first, static_cast<double>(value)});
      };
      add(live, column.live_bytes[row]);
      add(made, column.allocations[row]);
    }
  }
  const Caption caption = {
      id + "-sizes-over-time", "Size classes over time",
      "Each row is a range of sizes, each column a step of time; stronger colour is more, on a "
      "logarithmic scale. A row that stays strong is memory that stays."};
  Json plot = heat(caption, time_axis(), {"live bytes", "bytes"}, columns, rows, live);
  const Json other = heat(caption, time_axis(), {"allocations", "count"}, columns, rows, made);
  plot["views"] = {{{"name", "Live bytes"}},
                   {{"name", "Allocations"}, {"cells", other["cells"]}, {"y", other["y"]}}};
  return plot;
}

Json size_by_lifetime(const std::string& id, const HeatMap& heat_map) {
  trace::Histogram sizes;
  trace::Histogram lifetimes;
  for (size_t row = 0; row < HeatMap::kRows; ++row) {
    for (size_t column = 0; column < HeatMap::kRows; ++column) {
      sizes.bins[row].count += heat_map.lifetimes()[row][column];
      lifetimes.bins[column].count += heat_map.lifetimes()[row][column];
    }
  }
  const BinRange rows = used_bins(sizes);
  const BinRange columns = used_bins(lifetimes);
  std::vector<std::string> row_names;
  for (size_t row = rows.first; row < rows.end; ++row) row_names.push_back(size_label(row));
  std::vector<double> starts;
  std::vector<Cell> cells;
  for (size_t column = columns.first; column < columns.end; ++column) {
    starts.push_back(static_cast<double>(trace::Histogram::from(column)));
    for (size_t row = rows.first; row < rows.end; ++row) {
      const uint64_t count = heat_map.lifetimes()[row][column];
      if (count == 0) continue;
      cells.push_back({column - columns.first, row - rows.first, static_cast<double>(count)});
    }
  }
  return heat(
      {id + "-size-by-lifetime", "How long blocks of a size live",
       "Released blocks by size and by lifetime. On the left are blocks that come and go at "
       "once; large blocks there are candidates for reuse."},
      {"lifetime, at least", "ns"}, {"blocks", "count"}, starts, row_names, cells);
}

Json calls_table(const std::string& id, const trace::CallCounts& calls) {
  Json rows = Json::array();
  const auto total = static_cast<double>(calls.total());
  for (size_t i = 1; i < format::kCallCount; ++i) {
    const auto call = static_cast<format::Call>(i);
    if (calls[call] == 0) continue;
    rows.push_back({std::string(format::call_name(call)), calls[call],
                    static_cast<double>(calls[call]) / total});
  }
  return table({id + "-calls", "Calls", "Which functions the program called, and how often."},
               {{"call", "text"}, {"count", "exact"}, {"share", "percent"}}, rows);
}

}  // namespace tide::report
