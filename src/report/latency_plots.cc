#include "report/latency_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "host/byte_text.h"

namespace tide::report {
namespace {

constexpr size_t kMostViews = 16;

std::string class_name(const Latency& latency) {
  std::string name = latency.call;
  if (latency.high_size > 0) {
    const auto text = [](double bytes) { return host::byte_text(static_cast<uint64_t>(bytes)); };
    name += latency.low_size == latency.high_size
                ? fmt::format(" of {}", text(latency.high_size))
                : fmt::format(" of {} to {}", text(latency.low_size), text(latency.high_size));
  }
  return name;
}

Json distributions(const std::string& id, const std::vector<RunColors>& runs) {
  std::map<std::string, std::vector<Curve>> curves;
  std::map<std::string, double> counts;
  for (const RunColors& one : runs) {
    for (const Latency& latency : one.run->latencies()) {
      Points points = latency_by_rank(latency.histogram);
      if (points.size() < 2) continue;
      const std::string name = class_name(latency);
      counts[name] += latency.count;
      curves[name].push_back({one.run->label, one.color, std::move(points)});
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, count] : counts) names.push_back(name);
  std::stable_sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return counts[a] > counts[b];
  });
  names.resize(std::min(names.size(), kMostViews));
  if (names.empty()) return nullptr;
  const Caption caption = {
      id + "-latency", "Latency",
      "How long a call took: at 99 % one call in a hundred took longer than the curve shows. Lower "
      "is better; the right end is what users feel."};
  const Axis x = {"share of calls that were faster", "rank", true};
  const Axis y = {"time of a call", "ns", true};
  Json plot = lines(caption, x, y, curves[names[0]], false);
  plot["views"] = Json::array();
  for (const std::string& name : names) {
    Json other = lines(caption, x, y, curves[name], false);
    plot["views"].push_back({{"name", name}, {"series", std::move(other["series"])}});
  }
  plot["series"] = Json::array();
  return plot;
}

Json percentiles(const std::string& id, const std::vector<RunColors>& runs) {
  Json rows = Json::array();
  for (const RunColors& one : runs) {
    for (const Latency& latency : one.run->latencies()) {
      rows.push_back({one.run->label, latency.call,
                      latency.high_size > 0 ? Json(latency.low_size) : Json(),
                      latency.high_size > 0 ? Json(latency.high_size) : Json(), latency.count,
                      latency.p50, latency.p99, latency.p999, latency.most, one.color});
    }
  }
  if (rows.empty()) return nullptr;
  Json json = table({id + "-percentiles", "Latency by call and size",
                     "Half of the calls were faster than p50; one in a thousand was slower than "
                     "p99.9. Click a head to sort."},
                    {{"allocator", "text"},
                     {"call", "text"},
                     {"from", "bytes"},
                     {"to", "bytes"},
                     {"calls", "count"},
                     {"p50", "ns"},
                     {"p99", "ns"},
                     {"p99.9", "ns"},
                     {"max", "ns"}},
                    rows);
  json["columns"][0]["color"] = 9;
  return json;
}

}  // namespace

Points latency_by_rank(const Points& histogram) {
  double total = 0;
  for (const auto& [ns, count] : histogram) total += count;
  Points points;
  double below = 0;
  for (const auto& [ns, count] : histogram) {
    if (count <= 0) continue;
    points.emplace_back(total / (total - below), std::max(ns, 1.0));
    below += count;
  }
  return points;
}

std::vector<Json> latency_items(const std::string& id, const std::vector<RunColors>& runs) {
  return {distributions(id, runs), percentiles(id, runs)};
}

}  // namespace tide::report
