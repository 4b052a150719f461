// `tide heap X threads`: the program's threads, and what the allocator keeps for each.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/heap_json.h"
#include "cli/heap_question.h"
#include "cli/heap_questions.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "host/text_table.h"
#include "inspect/modules.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using host::Align;

struct Row {
  int id = 0;
  std::string name;
  std::string state;  // "runs", "ended"
  uint64_t instruction = 0;
  std::string place;  // "read+0x10", the function that this is in; empty: nobody knows
  uint64_t cached_blocks = 0;
  uint64_t cached_bytes = 0;
};

std::vector<Row> find_rows(const HeapSession& session) {
  std::vector<Row> rows;
  const inspect::Modules modules(*session.target);
  for (const walk::Thread& thread : session.target->threads()) {
    rows.push_back({thread.id, thread.name, "runs", thread.instruction,
                    modules.describe(thread.instruction), 0, 0});
  }
  for (const auto& heap : session.heaps) {
    for (const walk::HeapThread& thread : heap->threads()) {
      auto row = std::find_if(rows.begin(), rows.end(),
                              [&](const Row& r) { return r.id == thread.id && !thread.is_gone; });
      if (row == rows.end()) {
        rows.push_back({thread.id, "", "ended", 0, "", 0, 0});
        row = rows.end() - 1;
      }
      row->cached_blocks += thread.cached_blocks;
      row->cached_bytes += thread.cached_bytes;
    }
  }
  return rows;
}

std::string place_text(const Row& row) {
  if (!row.place.empty()) return host::printable(row.place);
  return row.instruction == 0 ? "" : fmt::format("{:#x}", row.instruction);
}

int run(HeapSession& session, const Arguments& arguments) {
  require_no_argument(kThreadsQuestion, arguments);
  const std::vector<Row> rows = find_rows(session);
  if (session.as_json) {
    Json json = {{"target", session.target->name()}, {"threads", Json::array()}};
    for (const Row& row : rows) {
      json["threads"].push_back({{"thread_id", row.id},
                                 {"name", row.name},
                                 {"state", row.state},
                                 {"instruction", fmt::format("{:#x}", row.instruction)},
                                 {"place", row.place},
                                 {"cached_blocks", row.cached_blocks},
                                 {"cached_bytes", row.cached_bytes}});
    }
    print(json_line(json));
    return host::kExitOk;
  }
  host::TextTable table({{"thread", Align::kRight},
                         {"name", Align::kLeft},
                         {"state", Align::kLeft},
                         {"at", Align::kLeft},
                         {"cached blocks", Align::kRight},
                         {"cached bytes", Align::kRight}});
  for (const Row& row : rows) {
    table.add_row({{std::to_string(row.id)},
                   {host::printable(row.name)},
                   {row.state},
                   {place_text(row)},
                   {std::to_string(row.cached_blocks)},
                   {host::byte_text(row.cached_bytes)}});
  }
  print(table.render(host::Terminal(STDOUT_FILENO)));
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kThreadsQuestion = {"threads", "",
                                       "The threads, and what the allocator keeps at hand for each",
                                       "core.4711 threads", run};

}  // namespace tide::cli
