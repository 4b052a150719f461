#include "cli/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/heap_json.h"
#include "cli/process_number.h"
#include "host/byte_text.h"
#include "host/control_groups.h"
#include "host/error.h"
#include "host/text_table.h"
#include "walk/live_heap.h"

namespace tide::cli {
namespace {

using host::Align;
using host::Style;
using host::TextTable;
using Json = nlohmann::ordered_json;

double seconds_since_epoch() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) /
         1000;
}

}  // namespace

TopRow TopSampler::read(int pid) {
  TopRow row;
  row.pid = pid;
  row.command = proc_.command(pid);
  row.container =
      host::printable(host::group_place(proc_.try_read(pid, "cgroup").value_or("")).container);
  const auto heap = walk::LiveHeap::open(pid);
  if (heap == nullptr) throw host::Error(not_on_tide(pid, row.command));
  row.figures = heap->reader().figures();
  row.rss_bytes = proc_.status_bytes(pid, "VmRSS");
  return row;
}

TopSample TopSampler::take() {
  TopSample sample;
  for (const int pid : is_named_ ? std::vector<int>(pids_) : proc_.processes()) {
    try {
      sample.rows.push_back(read(pid));
    } catch (const host::NotPermitted&) {
      if (is_named_) throw;
      ++sample.denied;
    } catch (const host::Error&) {
      if (is_named_ && is_first_) throw;
      pids_.erase(std::remove(pids_.begin(), pids_.end(), pid), pids_.end());
    }
  }
  is_first_ = false;
  std::stable_sort(sample.rows.begin(), sample.rows.end(),
                   [](const TopRow& a, const TopRow& b) { return a.rss_bytes > b.rss_bytes; });
  return sample;
}

std::string largest_holders(const walk::HeapFigures& figures, size_t most) {
  std::vector<std::pair<uint64_t, std::string>> holders;
  for (const tide_class_stats& entry : figures.classes) {
    holders.emplace_back(entry.live_blocks * entry.block_bytes,
                         fmt::format("{}", entry.block_bytes));
  }
  holders.emplace_back(figures.totals.large_live_bytes, "pages");
  holders.emplace_back(figures.totals.huge_live_bytes, "huge");
  std::stable_sort(holders.begin(), holders.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (size_t i = 0; i < std::min(most, holders.size()) && holders[i].first != 0; ++i) {
    text += fmt::format("{}{}:{}", i == 0 ? "" : " ", holders[i].second,
                        host::short_byte_text(holders[i].first));
  }
  return text;
}

std::string top_table(const TopSample& sample, const host::Terminal& terminal, size_t height) {
  const bool has_containers = std::any_of(sample.rows.begin(), sample.rows.end(),
                                          [](const TopRow& row) { return !row.container.empty(); });
  std::vector<TextTable::Column> columns = {{"PID", Align::kRight}, {"COMMAND"}};
  if (has_containers) columns.push_back({"CONTAINER"});
  for (const char* const name : {"RSS", "LIVE", "CACHED", "DIRTY", "RETURNED", "META"}) {
    columns.push_back({name, Align::kRight});
  }
  columns.push_back({"LARGEST CLASSES"});
  TextTable table(columns);
  constexpr size_t kHolders = 3;
  const size_t shown = std::min(height, sample.rows.size());
  for (size_t i = 0; i < shown; ++i) {
    const TopRow& row = sample.rows[i];
    const tide_stats& totals = row.figures.totals;
    std::vector<TextTable::Cell> cells = {{fmt::format("{}", row.pid)},
                                          {row.command, Style::kBold}};
    if (has_containers) cells.push_back({row.container});
    for (const uint64_t bytes :
         {row.rss_bytes, totals.live_bytes, totals.cached_bytes, totals.free_dirty_bytes,
          totals.returned_bytes, totals.metadata_bytes}) {
      cells.push_back({host::short_byte_text(bytes)});
    }
    cells.push_back({largest_holders(row.figures, kHolders)});
    table.add_row(std::move(cells));
  }
  std::string text = table.render(terminal);
  if (sample.rows.empty()) text += "no process that may be read runs on Tide\n";
  if (shown < sample.rows.size()) {
    text += fmt::format("and {} more\n", sample.rows.size() - shown);
  }
  if (sample.denied != 0) {
    text += fmt::format("{} {} may not be read; see them with sudo\n", sample.denied,
                        sample.denied == 1 ? "process" : "processes");
  }
  return text;
}

std::string top_json(const TopSample& sample) {
  Json document = {{"schema", "tide-top"},
                   {"schema_version", 1},
                   {"time", seconds_since_epoch()},
                   {"processes", Json::array()},
                   {"not_permitted", sample.denied}};
  for (const TopRow& row : sample.rows) {
    Json process = {
        {"process_id", row.pid}, {"command", row.command}, {"rss_bytes", row.rss_bytes}};
    if (!row.container.empty()) process["container"] = row.container;
    add_heap_figures(row.figures, process);
    document["processes"].push_back(std::move(process));
  }
  return json_line(document);
}

}  // namespace tide::cli
