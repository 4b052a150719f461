#include "report/difference_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "host/byte_text.h"
#include "host/number_text.h"
#include "report/call_plots.h"
#include "report/trace_section.h"

namespace tide::report {
namespace {

constexpr size_t kMostDifferences = 100;
constexpr double kWorthAWord = 0.02;

Section begin(const std::string& before, const std::string& after) {
  Section section;
  section.id = "difference";
  section.kind = "Difference";
  section.title = fmt::format("{} → {}", before, after);
  section.lead = "Before is the input that was given first.";
  return section;
}

Json relative(double before, double after) {
  return before == 0 ? Json() : Json(rounded((after - before) / before));
}

// "12.0 MiB more (+30 %)".
std::string change_text(double before, double after, bool is_bytes) {
  const double change = std::abs(after - before);
  if (before > 0 && change / before < kWorthAWord) return "the same within 2 %";
  const std::string text = is_bytes ? host::byte_text(static_cast<uint64_t>(change))
                                    : host::grouped(static_cast<uint64_t>(change));
  return fmt::format(
      "{} {}{}", text, after >= before ? "more" : "less",
      before > 0 ? fmt::format(" ({:+.0f} %)", 100 * (after - before) / before) : "");
}

class FigureRows {
 public:
  void add(const char* name, double before, double after, const char* unit) {
    const auto shown = [&](double value) { return Json::array({value, unit}); };
    rows_.push_back({name, shown(before), shown(after), relative(before, after)});
  }
  Json table() const {
    return report::table(
        {"difference-figures", "Figures", "What changed, in numbers."},
        {{"figure", "text"}, {"before", "number"}, {"after", "number"}, {"change", "percent"}},
        rows_);
  }

 private:
  Json rows_ = Json::array();
};

struct Change {
  std::string name;
  double before;
  double after;
};

// By function: what it has by itself.
std::vector<Change> changes(const FlameTree& both) {
  std::map<std::string, Change> functions;
  for (uint32_t node = 1; node < both.size(); ++node) {
    for (const auto& [at, sign] : {std::pair{node, 1.0}, std::pair{both.parent(node), -1.0}}) {
      if (at == FlameTree::kRoot) continue;
      Change& change = functions[both.text(at)];
      change.before += sign * both.value(node, 0);
      change.after += sign * both.value(node, 1);
    }
  }
  std::vector<Change> order;
  for (auto& [name, change] : functions) {
    change.name = name;
    if (change.before != change.after) order.push_back(change);
  }
  std::stable_sort(order.begin(), order.end(), [](const Change& a, const Change& b) {
    return std::abs(a.after - a.before) > std::abs(b.after - b.before);
  });
  order.resize(std::min(order.size(), kMostDifferences));
  return order;
}

void add_flame(const std::string& what, const std::string& unit, const FlameTree& both,
               const std::string& id, Section& section) {
  Json flame = both.plot({id + "-flame", "Call stacks: " + what,
                          "Orange grew, blue shrank, grey stayed; the buttons say whose widths are "
                          "shown. Click to zoom, type to search."});
  flame["base"] = 0;
  flame["first"] = 1;
  section.items.push_back(std::move(flame));
  Json rows = Json::array();
  for (const Change& change : changes(both)) {
    rows.push_back({change.name, change.after - change.before, change.before, change.after,
                    relative(change.before, change.after)});
  }
  section.items.push_back(table({id + "-functions", "Functions: " + what,
                                 "What each has by itself, the largest change first."},
                                {{"function", "text", "", true},
                                 {"change", unit},
                                 {"before", unit},
                                 {"after", unit},
                                 {"relative", "percent"}},
                                rows));
}

}  // namespace

Section trace_difference(const std::string& before_name, const TraceReading& before,
                         const std::string& after_name, const TraceReading& after) {
  Section section = begin(before_name, after_name);
  const trace::Summary& a = before.summary;
  const trace::Summary& b = after.summary;
  const auto number = [](uint64_t value) { return static_cast<double>(value); };
  section.answer.push_back(fmt::format(
      "From {} to {}: live bytes at the peak {}, allocations {}, left at the end {}.", before_name,
      after_name, change_text(number(a.peak().bytes()), number(b.peak().bytes()), true),
      change_text(number(a.totals().allocations), number(b.totals().allocations), false),
      change_text(number(a.totals().leaked_bytes), number(b.totals().leaked_bytes), true)));
  FigureRows rows;
  const auto add = [&](const char* name, uint64_t first, uint64_t second, const char* unit) {
    rows.add(name, number(first), number(second), unit);
  };
  add("duration", a.end_ns() - a.begin_ns(), b.end_ns() - b.begin_ns(), "ns");
  add("calls", a.totals().calls.total(), b.totals().calls.total(), "count");
  add("allocations", a.totals().allocations, b.totals().allocations, "count");
  add("allocated in all", a.totals().allocated_bytes, b.totals().allocated_bytes, "bytes");
  add("peak, live", a.peak().bytes(), b.peak().bytes(), "bytes");
  add("peak, RSS", a.memory().rss_max(), b.memory().rss_max(), "bytes");
  add("left at the end", a.totals().leaked_bytes, b.totals().leaked_bytes, "bytes");
  add("temporary blocks", a.totals().temporary, b.totals().temporary, "count");
  add("freed by another thread", a.totals().foreign_releases, b.totals().foreign_releases, "count");
  section.items.push_back(rows.table());
  std::vector<Curve> curves;
  const auto draw = [&](const std::string& name, const trace::Summary& summary, int color) {
    curves.push_back({name + ", live", color, live_curve(summary.timeline()), "", false, false});
    if (summary.memory().empty()) return;
    curves.push_back({name + ", RSS", color, rss_curve(summary.memory()), "dashed"});
  };
  draw("before", a, 1);
  draw("after", b, 0);
  section.items.push_back(
      lines({"difference-memory", "Memory over time", "Both on one axis, each from its own start."},
            time_axis(), {"bytes", "bytes"}, curves, true));
  if (before.flame != nullptr && after.flame != nullptr) {
    add_flame("live at the peak", "bytes",
              FlameTree::difference(*before.flame, kLiveAtPeak, *after.flame, kLiveAtPeak),
              "difference-peak", section);
    add_flame("allocated bytes", "bytes",
              FlameTree::difference(*before.flame, kAllocated, *after.flame, kAllocated),
              "difference-allocated", section);
  }
  return section;
}

Section profile_difference(const Compared& before, const Compared& after) {
  Section section = begin(before.name, after.name);
  FigureRows rows;
  for (size_t view = 0; view < before.flame->views().size(); ++view) {
    const FlameView& what = before.flame->views()[view];
    for (size_t other = 0; other < after.flame->views().size(); ++other) {
      if (after.flame->views()[other].name != what.name) continue;
      const double a = before.flame->value(FlameTree::kRoot, view);
      const double b = after.flame->value(FlameTree::kRoot, other);
      if (a == 0 && b == 0) continue;
      rows.add(what.name.c_str(), a, b, what.unit.c_str());
      if (section.answer.empty()) {
        section.answer.push_back(fmt::format("From {} to {}: {} {}.", before.name, after.name,
                                             what.name, change_text(a, b, what.unit == "bytes")));
      }
      add_flame(what.name, what.unit,
                FlameTree::difference(*before.flame, view, *after.flame, other),
                "difference-" + id_of(what.name), section);
    }
  }
  section.items.insert(section.items.begin(), rows.table());
  return section;
}

Section replay_difference(const std::string& before_name, const ReplayFile& before,
                          const std::string& after_name, const ReplayFile& after) {
  Section section = begin(before_name, after_name);
  Json rows = Json::array();
  for (const ReplayRun& old : before.runs) {
    const auto now = std::find_if(after.runs.begin(), after.runs.end(),
                                  [&](const ReplayRun& run) { return run.label == old.label; });
    if (now == after.runs.end()) continue;
    Json row = {old.label};
    std::string sentence;
    for (const auto& [key, name] :
         {std::pair{"wall_ns", "wall time"}, std::pair{"rss_max_bytes", "max RSS"}}) {
      const auto a = old.figure(key);
      const auto b = now->figure(key);
      row.push_back(median_of(old, key));
      row.push_back(median_of(*now, key));
      row.push_back(a && b ? relative(a->median, b->median) : Json());
      if (!a || !b || a->median <= 0) continue;
      const bool is_apart = a->high < b->low || b->high < a->low;
      sentence +=
          fmt::format("{}{} {}", sentence.empty() ? "" : ", ", name,
                      is_apart ? fmt::format("{:+.1f} %", 100 * (b->median - a->median) / a->median)
                               : std::string("no difference beyond the spread"));
    }
    rows.push_back(std::move(row));
    if (!sentence.empty()) {
      section.answer.push_back(
          fmt::format("{}, from {} to {}: {}.", old.label, before_name, after_name, sentence));
    }
  }
  section.items.push_back(table({"difference-runs", "Allocators in both", "Less is better."},
                                {{"allocator", "text"},
                                 {"wall time, before", "ns"},
                                 {"after", "ns"},
                                 {"change", "percent"},
                                 {"max RSS, before", "bytes"},
                                 {"after", "bytes"},
                                 {"change", "percent"}},
                                rows));
  return section;
}

}  // namespace tide::report
