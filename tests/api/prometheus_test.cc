// Statistics in Prometheus' text format: parsed by the format's own grammar, and true.
// https://prometheus.io/docs/instrumenting/exposition_formats/
#include <gtest/gtest.h>
#include <stdlib.h>

#include <charconv>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tide/tide.h"

namespace {

using Labels = std::map<std::string, std::string>;

struct Metric {
  std::string type;
  std::string help;
  std::map<Labels, double> samples;
};

// One line of the format, read from left to right.
class Line {
 public:
  explicit Line(const std::string& text) : rest_(text) {}

  bool skip(const std::string& expected) {
    if (rest_.rfind(expected, 0) != 0) return false;
    rest_.erase(0, expected.size());
    return true;
  }
  // [a-zA-Z_:][a-zA-Z0-9_:]*, for labels without colons.
  std::string name(bool colons) {
    size_t end = 0;
    while (end < rest_.size()) {
      const char c = rest_[end];
      const bool letter = isalpha(c) != 0 || c == '_' || (colons && c == ':');
      if (!letter && (end == 0 || isdigit(c) == 0)) break;
      ++end;
    }
    return cut(end);
  }
  // "..." with \\, \" and \n.
  bool quoted(std::string& value) {
    if (!skip("\"")) return false;
    for (size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.erase(0, i + 1);
        return true;
      }
      if (rest_[i] == '\\') {
        if (++i == rest_.size() || (rest_[i] != '\\' && rest_[i] != '"' && rest_[i] != 'n')) break;
        value += rest_[i] == 'n' ? '\n' : rest_[i];
      } else {
        value += rest_[i];
      }
    }
    return false;
  }
  bool number(double& value) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) return false;
    rest_.erase(0, static_cast<size_t>(end - rest_.data()));
    return true;
  }
  std::string all() { return cut(rest_.size()); }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string cut(size_t length) {
    const std::string result = rest_.substr(0, length);
    rest_.erase(0, length);
    return result;
  }
  std::string rest_;
};

bool parse_labels(Line& line, Labels& labels) {
  if (!line.skip("{")) return true;
  while (!line.skip("}")) {
    const std::string label = line.name(false);
    std::string value;
    if (label.empty() || !line.skip("=") || !line.quoted(value)) return false;
    if (!labels.emplace(label, value).second) return false;
    line.skip(",");
  }
  return true;
}

// Every rule that is broken is a failure of the test.
std::map<std::string, Metric> parse(const std::string& text) {
  std::map<std::string, Metric> metrics;
  std::set<std::string> closed;  // all lines of a metric are one group
  std::string current;
  EXPECT_EQ(text.back(), '\n') << "the last line ends, too";
  std::istringstream lines(text);
  for (std::string each; std::getline(lines, each);) {
    Line line(each);
    const bool is_help = line.skip("# HELP ");
    const bool is_type = !is_help && line.skip("# TYPE ");
    const std::string name = line.name(true);
    EXPECT_FALSE(name.empty()) << each;
    if (name != current) {
      EXPECT_TRUE(closed.insert(name).second) << "comes in two groups: " << each;
      current = name;
    }
    Metric& metric = metrics[name];
    if (is_help || is_type) {
      EXPECT_TRUE(line.skip(" ")) << each;
      std::string& what = is_help ? metric.help : metric.type;
      EXPECT_TRUE(what.empty()) << "said twice: " << each;
      EXPECT_TRUE(metric.samples.empty()) << "said too late: " << each;
      what = line.all();
      EXPECT_EQ(what.find('\\'), std::string::npos) << each;
      continue;
    }
    Labels labels;
    double value = -1;
    EXPECT_TRUE(parse_labels(line, labels)) << each;
    EXPECT_TRUE(line.skip(" ")) << each;
    EXPECT_TRUE(line.number(value)) << each;
    EXPECT_TRUE(line.at_end()) << each;
    EXPECT_TRUE(metric.samples.emplace(labels, value).second) << "a series twice: " << each;
  }
  return metrics;
}

std::string prometheus_text() {
  std::string text(1 << 16, '\0');
  const size_t length = tide_stats_prometheus(text.data(), text.size());
  EXPECT_LT(length, text.size());
  text.resize(length);
  return text;
}

TEST(Prometheus, FollowsTheGrammar) {
  const auto metrics = parse(prometheus_text());
  EXPECT_GT(metrics.size(), 20u);
  for (const auto& [name, metric] : metrics) {
    EXPECT_EQ(name.rfind("tide_", 0), 0u) << name;
    EXPECT_FALSE(metric.help.empty()) << name;
    const bool is_counter = name.size() > 6 && name.substr(name.size() - 6) == "_total";
    EXPECT_EQ(metric.type, is_counter ? "counter" : "gauge") << name;
    EXPECT_FALSE(metric.samples.empty()) << name;
  }
}

TEST(Prometheus, SaysWhatTheStructSays) {
  std::vector<void*> blocks(1000);
  for (void*& block : blocks) block = malloc(100);
  std::map<std::string, Metric> metrics = parse(prometheus_text());
  // The parser allocated: what it holds by now is more than what is in the text.
  const Labels plain;
  const Labels of_class{{"class", std::to_string(tide_good_size(100))}};
  EXPECT_GE(metrics["tide_class_live_bytes"].samples[of_class], 1000.0 * 112);
  EXPECT_GT(metrics["tide_class_slabs"].samples[of_class], 0.0);
  tide_stats stats;
  ASSERT_EQ(tide_stats_get(&stats, sizeof stats), 0);
  EXPECT_GT(metrics["tide_live_bytes"].samples[plain], 1000.0 * 112);
  EXPECT_EQ(metrics["tide_huge_live_bytes"].samples[plain],
            static_cast<double>(stats.huge_live_bytes));
  EXPECT_EQ(metrics["tide_purged_bytes_total"].samples[plain],
            static_cast<double>(stats.purged_bytes));
  const Labels version{{"version", tide_version()}};
  EXPECT_EQ(metrics["tide_info"].samples[version], 1.0);
  for (void* block : blocks) free(block);
}

TEST(Prometheus, ComesInPiecesToo) {
  std::string text;
  text.reserve(1 << 16);
  const auto append = [](const char* piece, size_t length, void* argument) {
    static_cast<std::string*>(argument)->append(piece, length);
  };
  EXPECT_EQ(tide_stats_write(TIDE_STATS_PROMETHEUS, append, &text), 0);
  EXPECT_GT(parse(text).size(), 20u);
}

}  // namespace
