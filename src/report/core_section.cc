#include "report/core_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "host/byte_text.h"
#include "inspect/contents.h"
#include "inspect/fill_map.h"
#include "inspect/survey.h"
#include "inspect/types.h"
#include "report/leak_items.h"
#include "report/size_labels.h"

namespace tide::report {
namespace {

using host::byte_text;

constexpr size_t kMostRows = 200;
constexpr size_t kMapRows = 48;
constexpr size_t kMapColumns = 64;

std::string size_text(uint64_t bytes) { return bytes == 0 ? "larger" : byte_text(bytes); }

// The rows of all heaps together, by size.
walk::HeapSummary sum(std::span<const std::unique_ptr<walk::Heap>> heaps) {
  walk::HeapSummary all;
  std::map<uint64_t, walk::SizeRow> rows;
  for (const auto& heap : heaps) {
    const walk::HeapSummary one = heap->summary();
    all.live_blocks += one.live_blocks;
    all.live_bytes += one.live_bytes;
    all.cached_bytes += one.cached_bytes;
    all.free_bytes += one.free_bytes;
    all.returned_bytes += one.returned_bytes;
    all.metadata_bytes += one.metadata_bytes;
    all.mapped_bytes += one.mapped_bytes;
    all.unknown.add(one.unknown);
    for (const walk::SizeRow& row : one.rows) {
      walk::SizeRow& sum = rows[row.bytes];
      sum.bytes = row.bytes;
      sum.live_blocks += row.live_blocks;
      sum.live_bytes += row.live_bytes;
      sum.cached_blocks += row.cached_blocks;
      sum.free_blocks += row.free_blocks;
    }
  }
  for (const auto& [bytes, row] : rows) all.rows.push_back(row);
  return all;
}

Json sizes_table(const std::string& id, const walk::HeapSummary& summary) {
  std::vector<walk::SizeRow> order = summary.rows;
  std::stable_sort(order.begin(), order.end(), [](const walk::SizeRow& a, const walk::SizeRow& b) {
    return a.live_bytes > b.live_bytes;
  });
  order.resize(std::min(order.size(), kMostRows));
  Json rows = Json::array();
  for (const walk::SizeRow& row : order) {
    rows.push_back({row.bytes, row.live_blocks, row.live_bytes,
                    summary.live_bytes == 0 ? Json()
                                            : Json(static_cast<double>(row.live_bytes) /
                                                   static_cast<double>(summary.live_bytes)),
                    row.cached_blocks, row.free_blocks});
  }
  return table({id + "-sizes", "Size classes", "What the program holds, by the size of blocks."},
               {{"size", "bytes"},
                {"live blocks", "count"},
                {"live bytes", "bytes"},
                {"share", "percent"},
                {"cached", "count"},
                {"free", "count"}},
               rows);
}

// A row of cells for each size: how full its spans are from the first to the last.
Json fill_plot(const std::string& id, const inspect::FragMap& map) {
  std::vector<const inspect::FragRow*> order;
  for (const inspect::FragRow& row : map.rows) order.push_back(&row);
  order.resize(std::min(order.size(), kMapRows));
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->block_bytes > b->block_bytes; });
  std::vector<std::string> names;
  std::vector<Cell> cells;
  for (const inspect::FragRow* const row : order) {
    std::vector<double> sums(kMapColumns);
    std::vector<double> counts(kMapColumns);
    uint64_t all = 0;
    for (const inspect::FragSpan& span : map.spans) {
      if (span.block_bytes == row->block_bytes) all += span.fill.size();
    }
    if (all == 0) continue;
    uint64_t at = 0;
    for (const inspect::FragSpan& span : map.spans) {
      if (span.block_bytes != row->block_bytes) continue;
      for (const uint8_t fill : span.fill) {
        // Few cells are stretched over the whole row.
        const uint64_t from = at * kMapColumns / all;
        const uint64_t to = std::max(from + 1, (at + 1) * kMapColumns / all);
        for (uint64_t column = from; column < to; ++column) {
          sums[column] += fill / 255.0;
          ++counts[column];
        }
        ++at;
      }
    }
    for (size_t column = 0; column < kMapColumns; ++column) {
      if (counts[column] > 0)
        cells.push_back({column, names.size(), sums[column] / counts[column]});
    }
    names.push_back(size_text(row->block_bytes));
  }
  std::vector<double> columns;
  for (size_t i = 0; i < kMapColumns; ++i) {
    columns.push_back(static_cast<double>(i) / static_cast<double>(kMapColumns));
  }
  Json plot =
      heat({id + "-fill", "How full memory is",
            "A row for each size class, from its first span on the left to its last; strong "
            "is full. Pale rows keep pages for few blocks: fragmentation."},
           {"position in the memory of the class", "percent"}, {"live", "percent"}, columns, names,
           cells);
  plot["linear"] = true;
  return plot;
}

Json fill_table(const std::string& id, const inspect::FragMap& map) {
  Json rows = Json::array();
  for (const inspect::FragRow& row : map.rows) {
    if (rows.size() == kMostRows) break;
    const uint64_t bytes = row.pages * inspect::kFillPage;
    rows.push_back(
        {row.block_bytes == 0 ? Json() : Json(row.block_bytes), row.spans, row.live_bytes, bytes,
         bytes == 0 ? Json()
                    : Json(static_cast<double>(row.live_bytes) / static_cast<double>(bytes)),
         row.sparse_pages * inspect::kFillPage, row.lonely_bytes});
  }
  return table({id + "-spans", "Spans by size class",
                "Sparse pages have less than a quarter of live bytes; what lies on them keeps them "
                "from going back to the system."},
               {{"size", "bytes"},
                {"spans", "count"},
                {"live", "bytes"},
                {"pages", "bytes"},
                {"full", "percent"},
                {"sparse", "bytes"},
                {"live on sparse", "bytes"}},
               rows);
}

Json types_table(const std::string& id, const std::vector<inspect::Type>& types, uint64_t all) {
  Json rows = Json::array();
  for (const inspect::Type& type : types) {
    if (rows.size() == kMostRows) break;
    rows.push_back(
        {type.name, type.blocks, type.bytes,
         all == 0 ? Json() : Json(static_cast<double>(type.bytes) / static_cast<double>(all)),
         type.is_estimate ? "estimated" : ""});
  }
  return table(
      {id + "-types", "Types",
       "C++ classes by their vtables; what has none by its kind, estimated from a sample."},
      {{"type", "text", "", true},
       {"blocks", "count"},
       {"bytes", "bytes"},
       {"share", "percent"},
       {"", "text"}},
      rows);
}

}  // namespace

Section core_section(const std::string& id, const std::string& name, const walk::Target& target,
                     std::span<const std::unique_ptr<walk::Heap>> heaps) {
  Section section;
  section.id = id;
  section.kind = "Heap";
  section.title = name;
  section.lead = heaps.front()->allocator();
  const walk::HeapSummary summary = sum(heaps);
  section.fact("live", summary.live_bytes, "bytes");
  section.fact("live blocks", summary.live_blocks, "count");
  section.fact("in caches", summary.cached_bytes, "bytes");
  section.fact("free", summary.free_bytes, "bytes");
  section.fact("given back", summary.returned_bytes, "bytes");
  section.fact("the allocator's own", summary.metadata_bytes, "bytes");
  inspect::FillSurvey fill(0);
  walk::Unknown unknown = summary.unknown;
  for (const auto& heap : heaps) {
    unknown.add(heap->for_each_span([&](const walk::Span& span) {
      fill.add(span);
      return true;
    }));
  }
  const inspect::FragMap map = fill.take();
  inspect::Contents contents(target, heaps);
  inspect::SurveyOptions options;
  options.with_every_object = true;
  const inspect::Survey survey = inspect::survey(target, heaps, contents, options);
  const std::vector<inspect::Type> types = inspect::types_of(survey, contents);
  if (!unknown.reason.empty()) {
    section.notes.push_back(fmt::format("Not all of it could be read: {}.", unknown.reason));
  }
  std::string line = fmt::format("{} holds {} in {}", name, byte_text(summary.live_bytes),
                                 counted(summary.live_blocks, "block"));
  if (!types.empty() && survey.bytes != 0) {
    line += fmt::format(
        ", {:.0f} % of it {}",
        100 * static_cast<double>(types.front().bytes) / static_cast<double>(survey.bytes),
        types.front().name);
  }
  section.answer.push_back(line + ".");
  if (map.live_bytes != 0) {
    section.answer.push_back(
        fmt::format("Live blocks of {} keep {} of pages: {:.2f} times as much.",
                    byte_text(map.live_bytes), byte_text(map.page_bytes),
                    static_cast<double>(map.page_bytes) / static_cast<double>(map.live_bytes)));
  }
  section.items.push_back(types_table(id, types, survey.bytes));
  add_leaks(section, target, heaps, contents);
  section.items.push_back(sizes_table(id, summary));
  if (!map.spans.empty()) section.items.push_back(fill_plot(id, map));
  section.items.push_back(fill_table(id, map));
  return section;
}

}  // namespace tide::report
