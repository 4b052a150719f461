#include "api/report.h"

#include "api/allocate.h"
#include "api/figures.h"
#include "api/options.h"
#include "heap/stats.h"
#include "sys/process.h"

namespace tide::api {

namespace {

// "12.3 MiB"; exact below 1 KiB.
void format_bytes(uint64_t bytes, base::TextWriter& out) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  uint64_t whole = bytes;
  uint64_t rest = 0;
  while (whole >= 1024 && unit + 1 < sizeof kUnits / sizeof kUnits[0]) {
    rest = whole % 1024;
    whole /= 1024;
    ++unit;
  }
  out.decimal(whole);
  if (unit != 0) out.put('.').decimal(rest * 10 / 1024);
  out.put(' ').text(kUnits[unit]);
}

void write_escaped(std::string_view text, ReportWriter& out) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.put('\\').put(c);
    } else if (byte < 0x20) {
      out.text("\\u00").put("01"[byte >> 4]).put("0123456789abcdef"[byte & 15]);
    } else if (byte < 0x7f) {
      out.put(c);
    } else {
      out.put('?');  // may not be UTF-8, and JSON must be
    }
  }
}

void write_options_json(ReportWriter& out) {
  out.text("\"options\":{");
  for (size_t i = 0; i < kOptionCount; ++i) {
    const auto id = static_cast<OptionId>(i);
    base::TextBuffer<1024> value;
    base::TextBuffer<64> source;
    options().format(id, value);
    options().format_source(id, source);
    if (i != 0) out.put(',');
    out.put('"').text(kOptionRows[i].name).text("\":{\"value\":\"");
    write_escaped(value.view(), out);
    out.text("\",\"source\":\"").text(source.view()).text("\"}");
  }
  out.put('}');
}

std::string_view state_name(layout::CacheState state) {
  return state == layout::CacheState::kOwned ? "owned" : "parked";
}

void write_classes_json(const heap::Stats& stats, ReportWriter& out) {
  out.text("\"classes\":[");
  bool first = true;
  for (const heap::ClassStats& entry : stats.classes) {
    if (entry.slabs == 0) continue;
    if (!first) out.put(',');
    first = false;
    out.text("{\"block_bytes\":").decimal(entry.block_bytes);
    out.text(",\"slabs\":").decimal(entry.slabs);
    out.text(",\"live_blocks\":").decimal(entry.live_blocks);
    out.text(",\"cached_blocks\":").decimal(entry.cached_blocks);
    out.text(",\"free_blocks\":").decimal(entry.free_blocks).put('}');
  }
  out.put(']');
}

void write_thread_json(const heap::ThreadStats& thread, ReportWriter& out) {
  out.text("{\"thread_id\":").decimal(static_cast<uint64_t>(thread.owner));
  out.text(",\"state\":\"").text(state_name(thread.state));
  out.text("\",\"cached_bytes\":").decimal(thread.cached_bytes);
  out.text(",\"cached_blocks\":").decimal(thread.cached_blocks).put('}');
}

void write_threads_json(ReportWriter& out) {
  struct List {
    ReportWriter& out;
    bool is_empty;
  } list{out, true};
  out.text("\"threads\":[");
  engine().visit_caches(
      [](const heap::ThreadStats& thread, void* argument) {
        auto& [to, is_empty] = *static_cast<List*>(argument);
        if (!is_empty) to.put(',');
        is_empty = false;
        write_thread_json(thread, to);
      },
      &list);
  out.put(']');
}

MallinfoFigures figures_of(const heap::Stats& stats) {
  MallinfoFigures figures{};
  const uint64_t huge_bytes = stats.huge_live_bytes + stats.huge_cached_bytes;
  figures.uordblks = stats.live_bytes - stats.huge_live_bytes;
  figures.arena = stats.mapped_bytes - huge_bytes - stats.metadata_bytes;
  // Other threads may have moved on between the sums.
  if (figures.arena < figures.uordblks) figures.arena = figures.uordblks;
  figures.fordblks = figures.arena - figures.uordblks;
  figures.hblks = stats.huge_live_blocks;
  figures.hblkhd = stats.huge_live_bytes;
  figures.fsmblks = stats.cached_bytes;
  figures.keepcost = stats.free_dirty_bytes;
  for (const heap::ClassStats& entry : stats.classes) {
    figures.ordblks += entry.free_blocks;
    figures.smblks += entry.cached_blocks;
  }
  return figures;
}

void write_text(const heap::Stats& stats, ReportWriter& out) {
  out.text("tide " TIDE_VERSION ", process ");
  out.decimal(static_cast<uint64_t>(sys::process_id())).put('\n');
  for (const Figure& figure : kFigures) {
    const uint64_t value = stats.*figure.member;
    base::TextBuffer<48> shown;
    if (ends_with(figure.key, "_bytes")) {
      format_bytes(value, shown);
    } else if (ends_with(figure.key, "_ns")) {
      shown.decimal(value / 1000).text(" us");
    } else {
      shown.decimal(value);
    }
    out.column(shown.view(), 14).text("  ").text(figure.meaning).put('\n');
  }
  out.text("  class bytes    slabs         live       cached         free\n");
  for (const heap::ClassStats& entry : stats.classes) {
    if (entry.slabs == 0) continue;
    out.column(entry.block_bytes, 13).column(entry.slabs, 9).column(entry.live_blocks, 13);
    out.column(entry.cached_blocks, 13).column(entry.free_blocks, 13).put('\n');
  }
}

void attribute(std::string_view name, uint64_t value, ReportWriter& out) {
  out.put(' ').text(name).text("=\"").decimal(value).put('"');
}

// <NAME type="TYPE" size="N"/>
void size_element(std::string_view name, std::string_view type, uint64_t bytes, ReportWriter& out) {
  out.put('<').text(name).text(" type=\"").text(type).put('"');
  attribute("size", bytes, out);
  out.text("/>\n");
}

// <total type="TYPE" count="N" size="M"/>
void total_element(std::string_view type, uint64_t count, uint64_t bytes, ReportWriter& out) {
  out.text("<total type=\"").text(type).put('"');
  attribute("count", count, out);
  attribute("size", bytes, out);
  out.text("/>\n");
}

// The free blocks of each class, as the C library lists its free chunks.
void write_sizes(const heap::Stats& stats, ReportWriter& out) {
  out.text("<sizes>\n");
  for (uint32_t c = 1; c < layout::kClassCount; ++c) {
    const heap::ClassStats& entry = stats.classes[c];
    const uint64_t count = entry.cached_blocks + entry.free_blocks;
    if (count == 0) continue;
    out.text("  <size");
    attribute("from", stats.classes[c - 1].block_bytes + uint64_t{1}, out);
    attribute("to", entry.block_bytes, out);
    attribute("total", count * entry.block_bytes, out);
    attribute("count", count, out);
    out.text("/>\n");
  }
  out.text("</sizes>\n");
}

// What stands at the end of a heap and, once more, of the document. The zones of addresses never
// shrink, so their size is its own maximum.
void write_totals(const MallinfoFigures& figures, bool whole_process, ReportWriter& out) {
  total_element("fast", figures.smblks, figures.fsmblks, out);
  total_element("rest", figures.ordblks, figures.fordblks - figures.fsmblks, out);
  if (whole_process) total_element("mmap", figures.hblks, figures.hblkhd, out);
  size_element("system", "current", figures.arena, out);
  size_element("system", "max", figures.arena, out);
  size_element("aspace", "total", figures.arena, out);
  size_element("aspace", "mprotect", figures.arena, out);
}

void labelled_line(std::string_view label, uint64_t value, ReportWriter& out) {
  out.text(label).text("= ").column(value, 10).put('\n');
}

}  // namespace

MallinfoFigures mallinfo_figures() {
  heap::Stats stats;
  collect_stats(stats);
  return figures_of(stats);
}

void write_stats_text(ReportWriter& out) {
  heap::Stats stats;
  collect_stats(stats);
  write_text(stats, out);
}

void write_stats_json(ReportWriter& out) {
  heap::Stats stats;
  collect_stats(stats);
  out.text("{\"schema\":\"tide-stats\",\"schema_version\":1,\"version\":\"" TIDE_VERSION
           "\",\"process_id\":");
  out.decimal(static_cast<uint64_t>(sys::process_id())).put(',');
  for (const Figure& figure : kFigures) {
    out.put('"').text(figure.key).text("\":").decimal(stats.*figure.member).put(',');
  }
  write_options_json(out);
  out.put(',');
  write_classes_json(stats, out);
  out.put(',');
  write_threads_json(out);
  out.put('}');
}

void write_malloc_info(ReportWriter& out) {
  heap::Stats stats;
  collect_stats(stats);
  const MallinfoFigures figures = figures_of(stats);
  out.text("<malloc version=\"1\">\n<heap nr=\"0\">\n");
  write_sizes(stats, out);
  write_totals(figures, false, out);
  out.text("</heap>\n");
  write_totals(figures, true, out);
  out.text("</malloc>\n");
}

void write_malloc_stats(ReportWriter& out) {
  heap::Stats stats;
  collect_stats(stats);
  const MallinfoFigures figures = figures_of(stats);
  out.text("Arena 0:\n");
  labelled_line("system bytes     ", figures.arena, out);
  labelled_line("in use bytes     ", figures.uordblks, out);
  out.text("Total (incl. mmap):\n");
  labelled_line("system bytes     ", figures.arena + figures.hblkhd, out);
  labelled_line("in use bytes     ", figures.uordblks + figures.hblkhd, out);
  labelled_line("max mmap regions ", stats.huge_peak_blocks, out);
  labelled_line("max mmap bytes   ", stats.huge_peak_bytes, out);
  write_text(stats, out);
}

}  // namespace tide::api
