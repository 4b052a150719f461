// The figures of a trace as JSON.

#include <nlohmann/json.hpp>

#include "cli/heap_json.h"
#include "cli/trace_view.h"
#include "format/trace_call.h"
#include "format/trace_record.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using trace::Call;
using trace::Histogram;

Json calls_json(const trace::CallCounts& calls) {
  Json object = Json::object();
  for (size_t i = 1; i < format::kCallCount; ++i) {
    const auto call = static_cast<Call>(i);
    if (calls[call] != 0) object[std::string(format::call_name(call))] = calls[call];
  }
  return object;
}

Json histogram_json(const Histogram& histogram, const char* from, const char* sum) {
  Json array = Json::array();
  for (size_t bin = 0; bin < Histogram::kBins; ++bin) {
    const Histogram::Bin& here = histogram.bins[bin];
    if (here.count == 0) continue;
    Json row = {{from, Histogram::from(bin)}, {"count", here.count}};
    if (sum != nullptr) row[sum] = here.sum;
    array.push_back(std::move(row));
  }
  return array;
}

Json paths_json(const trace::Totals& totals) {
  Json object = Json::object();
  for (size_t i = 0; i < format::kPathCount; ++i) {
    object[std::string(format::path_name(static_cast<format::Path>(i)))] = totals.paths[i];
  }
  return object;
}

void add_totals(const trace::Totals& totals, Json& object) {
  object["events"] = totals.events;
  object["lost_events"] = totals.lost_events;
  object["calls"] = calls_json(totals.calls);
  object["allocations"] = totals.allocations;
  object["allocated_bytes"] = totals.allocated_bytes;
  if (trace::knows_paths(totals)) object["paths"] = paths_json(totals);
  object["releases"] = totals.releases;
  object["failed_allocations"] = totals.failed_allocations;
  object["null_releases"] = totals.null_releases;
  object["unknown_releases"] = totals.oddities.unknown_releases;
  object["missed_releases"] = totals.oddities.missed_releases;
  object["reordered_events"] = totals.oddities.reordered;
  object["damaged_chunks"] = totals.oddities.damaged_chunks;
  object["temporary"] = totals.temporary;
  object["foreign_releases"] = totals.foreign_releases;
  object["initial_blocks"] = totals.initial_blocks;
  object["initial_bytes"] = totals.initial_bytes;
  object["mapped_bytes"] = totals.mapped_bytes;
  object["unmapped_bytes"] = totals.unmapped_bytes;
  object["leaked_blocks"] = totals.leaked_blocks;
  object["leaked_bytes"] = totals.leaked_bytes;
  object["reallocs"] = {{"moved", totals.reallocs.moved},
                        {"in_place", totals.reallocs.in_place},
                        {"moved_bytes", totals.reallocs.moved_bytes},
                        {"grown", totals.reallocs.grown},
                        {"shrunk", totals.reallocs.shrunk},
                        {"failed", totals.reallocs.failed},
                        {"longest_chain", totals.reallocs.longest_chain}};
  object["sizes"] = histogram_json(totals.sizes, "from_bytes", "bytes");
  object["lifetimes"] = histogram_json(totals.lifetimes, "from_ns", nullptr);
}

Json stacks_json(const std::vector<TraceTables::Stack>& stacks, bool with_bytes) {
  Json array = Json::array();
  for (const TraceTables::Stack& stack : stacks) {
    Json entry = {{"count", stack.count}};
    if (with_bytes) entry["bytes"] = stack.bytes;
    entry["stack"] = stack.names;
    array.push_back(std::move(entry));
  }
  return array;
}

Json peak_json(const TraceTables::Peak& peak) {
  return {{"bytes", peak.bytes},
          {"blocks", peak.blocks},
          {"time_ns", peak.time_ns},
          {"sizes", histogram_json(peak.sizes, "from_bytes", "bytes")}};
}

Json timeline_json(const TraceTables::Timeline& timeline) {
  Json calls = Json::array();
  Json most = Json::array();
  Json last = Json::array();
  for (const trace::Timeline::Bin& bin : timeline.bins) {
    calls.push_back(bin.calls);
    most.push_back(bin.most_live_bytes);
    last.push_back(bin.last_live_bytes);
  }
  return {{"begin_ns", timeline.begin_ns},
          {"step_ns", timeline.step_ns},
          {"calls", std::move(calls)},
          {"most_live_bytes", std::move(most)},
          {"last_live_bytes", std::move(last)}};
}

constexpr size_t kMostSamples = 2000;

void add_memory(const trace::MemorySamples& memory, Json& object) {
  object["rss_max_bytes"] = memory.empty() ? Json() : Json(memory.rss_max());
  object["parallelism"] = memory.span_ns() == 0 ? Json() : Json(memory.parallelism());
  std::vector<trace::MemorySamples::Sample> samples = memory.all();
  trace::thin(samples, kMostSamples, [](const auto& sample) { return sample.rss; });
  object["rss"] = Json::array();
  for (const auto& sample : samples) object["rss"].push_back({sample.time_ns, sample.rss});
}

Json process_json(const TraceTables& tables) {
  const trace::ProcessIdentity& process = tables.process;
  Json object = {{"number", process.number},    {"process_id", process.pid},
                 {"parent", process.parent},    {"program", process.program},
                 {"end", process.ended},        {"allocator", tables.allocator},
                 {"begin_ns", tables.begin_ns}, {"duration_ns", tables.end_ns - tables.begin_ns}};
  add_totals(tables.totals, object);
  object["peak"] = peak_json(tables.peak);
  object["threads"] = Json::array();
  for (const auto& [number, thread] : tables.threads) {
    object["threads"].push_back({{"number", number},
                                 {"thread_id", thread.tid},
                                 {"name", thread.name},
                                 {"calls", thread.calls},
                                 {"allocations", thread.allocations},
                                 {"allocated_bytes", thread.allocated_bytes},
                                 {"releases", thread.releases},
                                 {"foreign_releases", thread.foreign_releases}});
  }
  object["timeline"] = timeline_json(tables.timeline);
  add_memory(tables.memory, object);
  object["markers"] = Json::array();
  for (const trace::Marker& marker : tables.markers) {
    object["markers"].push_back({{"time_ns", marker.time_ns}, {"text", marker.text}});
  }
  object["top_stacks"] = {{"allocated", stacks_json(tables.allocated, true)},
                          {"peak", stacks_json(tables.at_peak, true)},
                          {"temporary", stacks_json(tables.temporary, false)},
                          {"leaked", stacks_json(tables.leaked, true)}};
  return object;
}

}  // namespace

std::string trace_json(const std::vector<TraceTables>& processes) {
  trace::Totals totals;
  const TraceTables* highest = nullptr;
  uint64_t duration_ns = 0;
  uint64_t rss_max = 0;
  for (const TraceTables& process : processes) {
    totals.add(process.totals);
    duration_ns = std::max(duration_ns, process.end_ns - process.begin_ns);
    rss_max = std::max(rss_max, process.memory.rss_max());
    if (highest == nullptr || process.peak.bytes > highest->peak.bytes) {
      highest = &process;
    }
  }
  Json json = {{"kind", "trace"}, {"duration_ns", duration_ns}};
  add_totals(totals, json);
  if (highest != nullptr) {
    json["peak"] = peak_json(highest->peak);
    json["peak"]["process"] = highest->process.number;
  }
  json["rss_max_bytes"] = rss_max != 0 ? Json(rss_max) : Json();
  json["processes"] = Json::array();
  for (const TraceTables& process : processes) {
    json["processes"].push_back(process_json(process));
  }
  return json_line(json);
}

}  // namespace tide::cli
