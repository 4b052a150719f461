// `tide heap A diff B`: what has grown from A to B, by size.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

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

struct Change {
  uint64_t bytes_each = 0;
  int64_t blocks_before = 0;
  int64_t blocks = 0;
  int64_t bytes_before = 0;
  int64_t bytes = 0;

  int64_t grown() const { return bytes - bytes_before; }
};

struct Totals {
  uint64_t blocks = 0;
  uint64_t bytes = 0;
};

Totals add_rows(const HeapSession& session, bool is_before, std::map<uint64_t, Change>& changes) {
  session.progress->begin("reading " + session.target->name(), host::Progress::Unit::kBytes);
  Totals totals;
  walk::Unknown unknown;
  for (const auto& heap : session.heaps) {
    const walk::HeapSummary summary = heap->summary();
    for (const walk::SizeRow& row : summary.rows) {
      Change& change = changes[row.bytes];
      change.bytes_each = row.bytes;
      (is_before ? change.blocks_before : change.blocks) += static_cast<int64_t>(row.live_blocks);
      (is_before ? change.bytes_before : change.bytes) += static_cast<int64_t>(row.live_bytes);
    }
    totals.blocks += summary.live_blocks;
    totals.bytes += summary.live_bytes;
    unknown.add(summary.unknown);
  }
  session.progress->finish();
  warn_of_unknown(session, unknown);
  return totals;
}

std::string signed_bytes(int64_t bytes) {
  return (bytes < 0 ? "-" : "+") +
         host::byte_text(static_cast<uint64_t>(bytes < 0 ? -bytes : bytes));
}

int run(HeapSession& session, const Arguments& arguments) {
  const auto other = only_argument(kDiffQuestion, arguments);
  if (!other.has_value()) {
    throw host::Error("diff: what with? As in: tide heap core.1 diff core.2", host::kExitUsage);
  }
  const HeapSession after = session.open_other(*other);
  std::map<uint64_t, Change> by_size;
  const Totals before_totals = add_rows(session, true, by_size);
  const Totals after_totals = add_rows(after, false, by_size);
  std::vector<Change> changes;
  for (const auto& [bytes, change] : by_size) {
    const bool same = change.blocks == change.blocks_before && change.grown() == 0;
    if (!same && session.is_wanted(bytes)) changes.push_back(change);
  }
  std::stable_sort(changes.begin(), changes.end(),
                   [](const Change& a, const Change& b) { return a.grown() > b.grown(); });
  if (session.as_json) {
    Json json = {{"before", session.target->name()},
                 {"after", after.target->name()},
                 {"live_blocks_before", before_totals.blocks},
                 {"live_blocks_after", after_totals.blocks},
                 {"live_bytes_before", before_totals.bytes},
                 {"live_bytes_after", after_totals.bytes},
                 {"sizes", Json::array()}};
    for (const Change& change : changes) {
      json["sizes"].push_back({{"size", change.bytes_each},
                               {"blocks_before", change.blocks_before},
                               {"blocks_after", change.blocks},
                               {"bytes_grown", change.grown()}});
    }
    print(json_line(json));
    return host::kExitOk;
  }
  host::TextTable table({{"size", Align::kRight},
                         {"blocks before", Align::kRight},
                         {"after", Align::kRight},
                         {"grown by", Align::kRight}});
  const size_t most = session.most == 0 ? changes.size() : session.most;
  for (size_t i = 0; i < std::min(most, changes.size()); ++i) {
    table.add_row({{std::to_string(changes[i].bytes_each)},
                   {std::to_string(changes[i].blocks_before)},
                   {std::to_string(changes[i].blocks)},
                   {signed_bytes(changes[i].grown())}});
  }
  const auto grown =
      static_cast<int64_t>(after_totals.bytes) - static_cast<int64_t>(before_totals.bytes);
  print((changes.empty() ? std::string("no size has changed\n")
                         : table.render(host::Terminal(STDOUT_FILENO))) +
        fmt::format("\n{} blocks ({}) in {}, {} blocks ({}) in {}: {}\n", before_totals.blocks,
                    host::byte_text(before_totals.bytes), session.target->name(),
                    after_totals.blocks, host::byte_text(after_totals.bytes), after.target->name(),
                    signed_bytes(grown)));
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kDiffQuestion = {"diff", "OTHER",
                                    "What has grown by OTHER, a later core or the process",
                                    "core.1 diff core.2", run};

}  // namespace tide::cli
