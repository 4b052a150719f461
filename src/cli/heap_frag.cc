// `tide heap X frag`: how full spans and pages are, and who holds the last block of a page.

#include "cli/heap_frag.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
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

constexpr uint64_t kPageBytes = inspect::kFillPage;

Json map_json(const FragMap& map) {
  Json json = {{"live_bytes", map.live_bytes}, {"page_bytes", map.page_bytes}};
  json["sizes"] = Json::array();
  for (const FragRow& row : map.rows) {
    json["sizes"].push_back({{"size", row.block_bytes},
                             {"spans", row.spans},
                             {"live_bytes", row.live_bytes},
                             {"pages", row.pages},
                             {"pinned_pages", row.pinned_pages},
                             {"sparse_pages", row.sparse_pages},
                             {"bytes_on_sparse_pages", row.lonely_bytes}});
  }
  json["last_blocks"] = Json::array();
  for (const LastBlock& block : map.last) {
    json["last_blocks"].push_back({{"address", fmt::format("{:#x}", block.address)},
                                   {"size", block.bytes},
                                   {"span", fmt::format("{:#x}", block.span)}});
  }
  return json;
}

std::string map_text(const FragMap& map, const host::Terminal& terminal) {
  host::TextTable table({{"size", Align::kRight},
                         {"spans", Align::kRight},
                         {"live", Align::kRight},
                         {"pages", Align::kRight},
                         {"full", Align::kRight},
                         {"sparse", Align::kRight},
                         {"on sparse", Align::kRight}});
  for (const FragRow& row : map.rows) {
    const uint64_t bytes = row.pages * kPageBytes;
    table.add_row({{row.is_mixed           ? "all sizes"
                    : row.block_bytes == 0 ? "larger"
                                           : std::to_string(row.block_bytes)},
                   {std::to_string(row.spans)},
                   {host::byte_text(row.live_bytes)},
                   {host::byte_text(bytes)},
                   {bytes == 0 ? "-" : fmt::format("{} %", 100 * row.live_bytes / bytes)},
                   {host::byte_text(row.sparse_pages * kPageBytes)},
                   {host::byte_text(row.lonely_bytes)}});
  }
  std::string text = table.render(terminal);
  text += fmt::format("\nLive blocks of {} keep {} of pages resident ({:.2f}x)\n",
                      host::byte_text(map.live_bytes), host::byte_text(map.page_bytes),
                      map.live_bytes == 0 ? 1.0
                                          : static_cast<double>(map.page_bytes) /
                                                static_cast<double>(map.live_bytes));
  text += "pages: touched and not given back; sparse: less than a quarter of the page is live\n";
  if (map.last.empty()) return text;
  text += "\nBlocks that keep a page all by themselves, for example:\n";
  for (const LastBlock& block : map.last) {
    text += fmt::format("  {:#x}  {} bytes\n", block.address, block.bytes);
  }
  return text;
}

int run(HeapSession& session, const Arguments& arguments) {
  std::string file;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].starts_with("--html=")) {
      file = arguments[i].substr(7);
    } else if (arguments[i] == "--html") {
      file = i + 1 < arguments.size() ? arguments[++i] : "heap-frag.html";
    } else {
      throw host::Error(
          fmt::format("frag: unexpected argument '{}'; see: tide heap --help", arguments[i]),
          host::kExitUsage);
    }
  }
  inspect::FillSurvey survey(session.most == 0 ? 10 : session.most);
  walk::Unknown unknown;
  for (const auto& heap : session.heaps) {
    const walk::Unknown here = heap->for_each_span([&](const walk::Span& span) {
      if (session.is_wanted(span.block_bytes)) survey.add(span);
      return true;
    });
    unknown.add(here);
  }
  const FragMap map = survey.take();
  if (!file.empty()) {
    std::ofstream out(file);
    out << frag_html(map, session.target->name());
    out.close();
    if (!out) throw host::Error(fmt::format("frag: '{}' cannot be written", file));
  }
  if (session.as_json) {
    print(json_line(map_json(map)));
  } else {
    print(map_text(map, host::Terminal(STDOUT_FILENO)));
    if (!file.empty()) print(fmt::format("\nThe picture is in {}\n", file));
  }
  warn_of_unknown(session, unknown);
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kFragQuestion = {
    "frag", "[--html FILE]", "How full spans and pages are, and whose blocks keep sparse ones",
    "core.4711 frag --html frag.html", run};

}  // namespace tide::cli
