// `tide heap X stats`: blocks and bytes by size, per heap and in all.

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/heap_contents.h"
#include "cli/heap_json.h"
#include "cli/heap_question.h"
#include "cli/heap_questions.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "host/text_table.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using host::Align;

Json heap_json(const walk::Heap& heap, const walk::HeapSummary& summary,
               const HeapSession& session) {
  Json json = {{"allocator", heap.allocator()},
               {"live_blocks", summary.live_blocks},
               {"live_bytes", summary.live_bytes},
               {"cached_bytes", summary.cached_bytes},
               {"free_dirty_bytes", summary.free_bytes},
               {"returned_bytes", summary.returned_bytes},
               {"metadata_bytes", summary.metadata_bytes},
               {"mapped_bytes", summary.mapped_bytes},
               {"in_flight_blocks", summary.in_flight_blocks}};
  json["sizes"] = Json::array();
  for (const walk::SizeRow& row : summary.rows) {
    if (!session.is_wanted(row.bytes)) continue;
    json["sizes"].push_back({{"size", row.bytes},
                             {"blocks", row.live_blocks},
                             {"bytes", row.live_bytes},
                             {"cached_blocks", row.cached_blocks},
                             {"free_blocks", row.free_blocks}});
  }
  json["heaps"] = Json::array();
  for (const walk::HeapSummary::Owner& owner : summary.owners) {
    json["heaps"].push_back({{"heap", owner.number},
                             {"live_blocks", owner.live_blocks},
                             {"live_bytes", owner.live_bytes}});
  }
  json["unknown"] = {{"parts", summary.unknown.parts},
                     {"bytes", summary.unknown.bytes},
                     {"reason", summary.unknown.reason}};
  return json;
}

std::string heap_text(const walk::Heap& heap, const walk::HeapSummary& summary,
                      const HeapSession& session, const host::Terminal& terminal) {
  std::string text = heap.allocator() + "\n\n";
  host::TextTable table({{"size", Align::kRight},
                         {"blocks", Align::kRight},
                         {"share", Align::kRight},
                         {"bytes", Align::kRight},
                         {"share", Align::kRight},
                         {"cached", Align::kRight},
                         {"free", Align::kRight}});
  for (const walk::SizeRow& row : summary.rows) {
    if (!session.is_wanted(row.bytes)) continue;
    if (row.live_blocks + row.cached_blocks + row.free_blocks == 0) continue;
    table.add_row({{grouped_text(row.bytes)},
                   {grouped_text(row.live_blocks)},
                   {percent_text(row.live_blocks, summary.live_blocks)},
                   {grouped_text(row.live_bytes)},
                   {percent_text(row.live_bytes, summary.live_bytes)},
                   {grouped_text(row.cached_blocks)},
                   {grouped_text(row.free_blocks)}});
  }
  text += table.render(terminal);
  if (summary.owners.size() > 1) {
    text += "\n";
    host::TextTable owners(
        {{"heap", Align::kLeft}, {"blocks", Align::kRight}, {"bytes", Align::kRight}});
    for (const walk::HeapSummary::Owner& owner : summary.owners) {
      owners.add_row({{owner.number == 0 ? "the process's" : fmt::format("heap {}", owner.number)},
                      {grouped_text(owner.live_blocks)},
                      {grouped_text(owner.live_bytes)}});
    }
    text += owners.render(terminal);
  }
  text += fmt::format("\nHeap: {} blocks ({} bytes, {})\n", grouped_text(summary.live_blocks),
                      grouped_text(summary.live_bytes), host::byte_text(summary.live_bytes));
  text += fmt::format(
      "Mapped {}: live {}, cached {}, free and perhaps resident {}, returned {}, metadata {}\n",
      host::byte_text(summary.mapped_bytes), host::byte_text(summary.live_bytes),
      host::byte_text(summary.cached_bytes), host::byte_text(summary.free_bytes),
      host::byte_text(summary.returned_bytes), host::byte_text(summary.metadata_bytes));
  if (summary.in_flight_blocks != 0) {
    text += fmt::format("{} blocks are in flight: a call was at them\n",
                        grouped_text(summary.in_flight_blocks));
  }
  return text;
}

int run(HeapSession& session, const Arguments& arguments) {
  if (const auto size = only_argument(kStatsQuestion, arguments)) {
    take_size(session, kStatsQuestion, *size);
  }
  const host::Terminal terminal(STDOUT_FILENO);
  Json json = {{"target", session.target->name()}, {"heaps", Json::array()}};
  walk::Unknown unknown;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  std::string text;
  for (const auto& heap : session.heaps) {
    const walk::HeapSummary summary = heap->summary();
    blocks += summary.live_blocks;
    bytes += summary.live_bytes;
    unknown.add(summary.unknown);
    if (session.as_json) {
      json["heaps"].push_back(heap_json(*heap, summary, session));
    } else {
      if (!text.empty()) text += "\n";
      text += heap_text(*heap, summary, session, terminal);
    }
  }
  if (session.as_json) {
    json["live_blocks"] = blocks;
    json["live_bytes"] = bytes;
    print(json_line(json));
  } else {
    if (session.heaps.size() > 1) {
      text += fmt::format("\nIn {} heaps: {} blocks ({} bytes)\n", session.heaps.size(),
                          grouped_text(blocks), grouped_text(bytes));
    }
    print(text);
  }
  warn_of_unknown(session, unknown);
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kStatsQuestion = {"stats", "[SIZE]", "Blocks and bytes by size, and in all",
                                     "4711 stats", run};

}  // namespace tide::cli
