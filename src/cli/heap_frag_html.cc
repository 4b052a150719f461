// The picture of `tide heap X frag --html`: a row of cells per span, darker where it is fuller.

#include <fmt/format.h>

#include <algorithm>

#include "cli/heap_frag.h"
#include "host/byte_text.h"

namespace tide::cli {
namespace {

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{0}</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --empty: #eceff2; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e6e9ec; --paper: #14171a; --empty: #262b30; }} }}
body {{ font: 14px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }}
h2 {{ font-size: 1rem; margin: 1.5rem 0 .25rem; }}
.spans {{ display: flex; flex-wrap: wrap; gap: 3px; }}
svg {{ display: block; background: var(--empty); border-radius: 2px; }}
</style></head><body>
<h1>Fragmentation: {0}</h1>
<p>Live blocks of {1} keep {2} of pages resident. One bar is a span, from its first address to its
last; the bluer, the fuller. Hover for its address.</p>
)";

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<') {
      result += "&lt;";
    } else if (c == '&') {
      result += "&amp;";
    } else if (c == '"') {
      result += "&quot;";
    } else {
      result += c;
    }
  }
  return result;
}

std::string span_svg(const FragSpan& span) {
  const size_t cells = span.fill.size();
  uint64_t sum = 0;
  for (const uint8_t fill : span.fill) sum += fill;
  std::string svg = fmt::format(
      "<svg width=\"128\" height=\"10\" viewBox=\"0 0 {} 1\" preserveAspectRatio=\"none\" "
      "role=\"img\"><title>{:#x}, {}, {} % full</title>",
      cells, span.address, host::byte_text(span.bytes), cells == 0 ? 0 : sum * 100 / (255 * cells));
  for (size_t i = 0; i < cells; ++i) {
    if (span.fill[i] == 0) continue;
    svg += fmt::format("<path d=\"M{} 0h1v1h-1z\" fill=\"#1f6feb\" fill-opacity=\"{:.2f}\"/>", i,
                       std::max(0.12, span.fill[i] / 255.0));
  }
  return svg + "</svg>\n";
}

}  // namespace

std::string frag_html(const FragMap& map, const std::string& title) {
  std::string html = fmt::format(kHead, escaped(title), host::byte_text(map.live_bytes),
                                 host::byte_text(map.page_bytes));
  for (const FragRow& row : map.rows) {
    std::string bars;
    for (const FragSpan& span : map.spans) {
      if (span.block_bytes == row.block_bytes) bars += span_svg(span);
    }
    html += fmt::format(
        "<h2>{}: {} spans, {} live on {} of pages, {} of them sparse</h2>\n",
        row.block_bytes == 0 ? "larger blocks" : fmt::format("{} bytes", row.block_bytes),
        row.spans, host::byte_text(row.live_bytes), host::byte_text(row.pages * 4096),
        host::byte_text(row.sparse_pages * 4096));
    html += "<div class=\"spans\">\n" + bars + "</div>\n";
  }
  if (map.spans_left_out != 0) {
    html += fmt::format("<p>{} more spans are not drawn.</p>\n", map.spans_left_out);
  }
  return html + "</body></html>\n";
}

}  // namespace tide::cli
