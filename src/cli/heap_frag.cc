// `tide heap X frag`: how full spans and pages are, and who holds the last block of a page.

#include "cli/heap_frag.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <fstream>
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

constexpr uint64_t kPage = 4096;
constexpr size_t kMostSpansInPicture = 4096;
constexpr size_t kCells = 64;

class Survey {
 public:
  explicit Survey(size_t most_last) : most_last_(most_last) {}

  void add(const walk::Span& span) {
    if (span.is_free) return;
    FragRow& row = rows_[span.block_bytes];
    row.block_bytes = span.block_bytes;
    ++row.spans;
    if (span.block_bytes == 0 || span.live.empty()) {
      add_whole(span, row);
    } else {
      add_slab(span, row);
    }
  }

  FragMap take() {
    for (const auto& [bytes, row] : rows_) {
      map_.live_bytes += row.live_bytes;
      map_.page_bytes += row.pinned_pages * kPage;
      map_.rows.push_back(row);
    }
    const auto waste = [](const FragRow& row) { return row.pages * kPage - row.live_bytes; };
    std::stable_sort(map_.rows.begin(), map_.rows.end(),
                     [&](const FragRow& a, const FragRow& b) { return waste(a) > waste(b); });
    return std::move(map_);
  }

 private:
  void add_whole(const walk::Span& span, FragRow& row) {
    const uint64_t bytes = span.range.end - span.range.start;
    row.live_bytes += span.live_blocks != 0 ? bytes : 0;
    row.pages += bytes / kPage;
    row.pinned_pages += span.live_blocks != 0 ? bytes / kPage : 0;
    draw(span, std::vector<uint8_t>(1, span.live_blocks != 0 ? 255 : 0));
  }

  void add_slab(const walk::Span& span, FragRow& row) {
    const uint64_t bytes = span.range.end - span.range.start;
    const size_t pages = bytes / kPage;
    live_.assign(pages, 0);
    blocks_.assign(pages, 0);
    last_.assign(pages, 0);
    for (size_t w = 0; w < span.live.size(); ++w) {
      for (uint64_t bits = span.live[w]; bits != 0; bits &= bits - 1) {
        const uint64_t block = w * 64 + static_cast<uint64_t>(std::countr_zero(bits));
        const uint64_t begin = block * span.block_bytes;
        const uint64_t end = std::min(begin + span.block_bytes, bytes);
        for (uint64_t page = begin / kPage; page * kPage < end; ++page) {
          const uint64_t from = std::max(begin, page * kPage);
          const uint64_t to = std::min(end, (page + 1) * kPage);
          live_[page] += static_cast<uint32_t>(to - from);
          ++blocks_[page];
          last_[page] = begin;
        }
      }
    }
    row.pages += pages - std::min<uint64_t>(pages, span.returned_bytes / kPage);
    std::vector<uint8_t> fill(std::min(kCells, pages));
    std::vector<uint64_t> sums(fill.size());
    for (size_t page = 0; page < pages; ++page) {
      row.live_bytes += live_[page];
      sums[page * fill.size() / pages] += live_[page];
      if (live_[page] == 0) continue;
      ++row.pinned_pages;
      if (live_[page] >= kPage / 4) continue;
      ++row.sparse_pages;
      row.lonely_bytes += live_[page];
      if (blocks_[page] == 1 && map_.last.size() < most_last_) {
        map_.last.push_back({span.range.start + last_[page], span.block_bytes, span.range.start});
      }
    }
    for (size_t cell = 0; cell < fill.size(); ++cell) {
      fill[cell] = static_cast<uint8_t>(sums[cell] * 255 * fill.size() / bytes);
    }
    draw(span, std::move(fill));
  }

  void draw(const walk::Span& span, std::vector<uint8_t> fill) {
    if (map_.spans.size() == kMostSpansInPicture) {
      ++map_.spans_left_out;
      return;
    }
    map_.spans.push_back(
        {span.range.start, span.range.end - span.range.start, span.block_bytes, std::move(fill)});
  }

  size_t most_last_;
  std::map<uint64_t, FragRow> rows_;
  FragMap map_;
  std::vector<uint32_t> live_;
  std::vector<uint32_t> blocks_;
  std::vector<uint64_t> last_;
};

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
    const uint64_t bytes = row.pages * kPage;
    table.add_row({{row.block_bytes == 0 ? "larger" : std::to_string(row.block_bytes)},
                   {std::to_string(row.spans)},
                   {host::byte_text(row.live_bytes)},
                   {host::byte_text(bytes)},
                   {bytes == 0 ? "-" : fmt::format("{} %", 100 * row.live_bytes / bytes)},
                   {host::byte_text(row.sparse_pages * kPage)},
                   {host::byte_text(row.lonely_bytes)}});
  }
  std::string text = table.render(terminal);
  text += fmt::format("\nLive blocks of {} keep {} of pages resident ({:.2f}x)\n",
                      host::byte_text(map.live_bytes), host::byte_text(map.page_bytes),
                      map.live_bytes == 0 ? 1.0
                                          : static_cast<double>(map.page_bytes) /
                                                static_cast<double>(map.live_bytes));
  text += "pages: not given back; sparse: less than a quarter of the page is live\n";
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
  Survey survey(session.most == 0 ? 10 : session.most);
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
