#include "cli/agent_metrics.h"

#include <fmt/format.h>

#include <iterator>

namespace tide::cli {
namespace {

// A value of a label.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

struct Figure {
  std::string_view key;
  uint64_t tide_stats::*member;
  std::string_view metric;
  std::string_view meaning;
};
constexpr Figure kFigures[] = {
#define TIDE_FIGURE(field, metric, meaning) {#field, &tide_stats::field, metric, meaning},
#include "layout/figures.def"
#undef TIDE_FIGURE
};

struct ClassFigure {
  std::string_view metric;
  uint64_t (*value)(const tide_class_stats& entry);
  std::string_view meaning;
};
constexpr ClassFigure kClassFigures[] = {
#define TIDE_CLASS_FIGURE(metric, value, meaning) \
  {metric, [](const tide_class_stats& entry) -> uint64_t { return value; }, meaning},
#include "layout/class_figures.def"
#undef TIDE_CLASS_FIGURE
};

// Where there is something to say: a label without a value is none.
std::string label(std::string_view name, std::string_view value) {
  return value.empty() ? std::string() : fmt::format(",{}=\"{}\"", name, escaped(value));
}

class Writer {
 public:
  void head(std::string_view name, std::string_view meaning) {
    fmt::format_to(to_, "# HELP tide_{} {}\n# TYPE tide_{} {}\n", name, meaning, name,
                   name.ends_with("_total") ? "counter" : "gauge");
  }
  template <class... Parts>
  void line(fmt::format_string<Parts...> format, Parts&&... parts) {
    fmt::format_to(to_, format, std::forward<Parts>(parts)...);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::back_insert_iterator<std::string> to_{text_};
};

}  // namespace

std::string prometheus_text(const std::vector<const AgentProcess*>& processes,
                            const std::vector<AgentMetric>& own) {
  Writer out;
  std::vector<std::string> labels;
  for (const AgentProcess* const process : processes) {
    labels.push_back(fmt::format("pid=\"{}\",comm=\"{}\",service=\"{}\"", process->pid,
                                 escaped(process->labels.command),
                                 escaped(process->labels.service)) +
                     label("container", process->labels.container));
  }
  out.head("info", "the library, always 1");
  for (size_t i = 0; i < processes.size(); ++i) {
    out.line("tide_info{{{},version=\"{}\",service_version=\"{}\"{}}} 1\n", labels[i],
             escaped(processes[i]->library_version), escaped(processes[i]->labels.version),
             label("cgroup", processes[i]->group));
  }
  out.head("process_resident_bytes", "resident, all of the process");
  for (size_t i = 0; i < processes.size(); ++i) {
    out.line("tide_process_resident_bytes{{{}}} {}\n", labels[i], processes[i]->rss_bytes);
  }
  for (const Figure& figure : kFigures) {
    out.head(figure.metric, figure.meaning);
    for (size_t i = 0; i < processes.size(); ++i) {
      const uint64_t value = processes[i]->figures.totals.*figure.member;
      if (figure.key.ends_with("_ns")) {
        constexpr uint64_t kSecond = 1'000'000'000;
        out.line("tide_{}{{{}}} {}.{:09}\n", figure.metric, labels[i], value / kSecond,
                 value % kSecond);
      } else {
        out.line("tide_{}{{{}}} {}\n", figure.metric, labels[i], value);
      }
    }
  }
  for (const ClassFigure& figure : kClassFigures) {
    out.head(figure.metric, figure.meaning);
    for (size_t i = 0; i < processes.size(); ++i) {
      for (const tide_class_stats& entry : processes[i]->figures.classes) {
        if (entry.slabs == 0) continue;
        out.line("tide_{}{{{},class=\"{}\"}} {}\n", figure.metric, labels[i], entry.block_bytes,
                 figure.value(entry));
      }
    }
  }
  for (const AgentMetric& metric : own) {
    out.head("agent_" + metric.name, metric.meaning);
    out.line("tide_agent_{} {}\n", metric.name, metric.value);
  }
  return out.take();
}

}  // namespace tide::cli
