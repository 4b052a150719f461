#include "api/prometheus.h"

#include "api/allocate.h"
#include "api/figures.h"

namespace tide::api {

namespace {

struct ClassMetric {
  std::string_view name;
  uint64_t (*value)(const heap::ClassStats& entry);
  std::string_view meaning;
};

constexpr ClassMetric kClassMetrics[] = {
#define TIDE_CLASS_FIGURE(metric, value, meaning) \
  {metric, [](const heap::ClassStats& entry) -> uint64_t { return value; }, meaning},
#include "layout/class_figures.def"
#undef TIDE_CLASS_FIGURE
};

// A meaning has no backslash or line end, so nothing needs an escape.
void write_head(std::string_view name, std::string_view meaning, ReportWriter& out) {
  out.text("# HELP tide_").text(name).put(' ').text(meaning).text("\n# TYPE tide_").text(name);
  out.text(ends_with(name, "_total") ? " counter\n" : " gauge\n");
}

void write_seconds(uint64_t nanoseconds, ReportWriter& out) {
  constexpr uint64_t kSecond = 1'000'000'000;
  out.decimal(nanoseconds / kSecond).put('.');
  for (uint64_t unit = kSecond / 10; unit != 0; unit /= 10) {
    out.put(static_cast<char>('0' + nanoseconds / unit % 10));
  }
}

}  // namespace

void write_stats_prometheus(ReportWriter& out) {
  heap::Stats stats;
  collect_stats(stats);
  write_head("info", "the library, always 1", out);
  out.text("tide_info{version=\"" TIDE_VERSION "\"} 1\n");
  for (const Figure& figure : kFigures) {
    write_head(figure.metric, figure.meaning, out);
    out.text("tide_").text(figure.metric).put(' ');
    const uint64_t value = stats.*figure.member;
    if (ends_with(figure.key, "_ns")) {
      write_seconds(value, out);
    } else {
      out.decimal(value);
    }
    out.put('\n');
  }
  for (const ClassMetric& metric : kClassMetrics) {
    write_head(metric.name, metric.meaning, out);
    for (const heap::ClassStats& entry : stats.classes) {
      if (entry.slabs == 0) continue;
      out.text("tide_").text(metric.name).text("{class=\"").decimal(entry.block_bytes);
      out.text("\"} ").decimal(metric.value(entry)).put('\n');
    }
  }
}

}  // namespace tide::api
