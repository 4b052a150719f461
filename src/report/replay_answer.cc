#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "host/byte_text.h"
#include "host/number_text.h"
#include "report/replay_section.h"

namespace tide::report {
namespace {

struct Ranked {
  const ReplayRun* run;
  Figure figure;
};

// By the figure, the least first.
std::vector<Ranked> ranked(const ReplayFile& file, const char* name) {
  std::vector<Ranked> runs;
  for (const ReplayRun& run : file.runs) {
    const auto figure = run.figure(name);
    if (run.is_ok() && figure) runs.push_back({&run, *figure});
  }
  std::stable_sort(runs.begin(), runs.end(), [](const Ranked& a, const Ranked& b) {
    return a.figure.median < b.figure.median;
  });
  return runs;
}

// "X is fastest: 1.2 s, 1.30x faster than Y, the next"; within their spreads there is no winner.
void say_best(const ReplayFile& file, const char* name, const char* word, const char* more,
              const std::function<std::string(double)>& text, std::vector<std::string>& lines) {
  const std::vector<Ranked> runs = ranked(file, name);
  if (runs.size() < 2) return;
  const Ranked& best = runs[0];
  const Ranked& next = runs[1];
  const Ranked& last = runs.back();
  if (best.figure.median <= 0) return;
  const auto ratio = [&](const Ranked& other) { return other.figure.median / best.figure.median; };
  std::string line;
  if (best.figure.high >= next.figure.low) {
    line = fmt::format("{} and {} are {} within their spread, with {} and {}", best.run->label,
                       next.run->label, word, text(best.figure.median), text(next.figure.median));
  } else {
    line = fmt::format("{} is {} with {}; {}, the next, {} {:.2f} times as much", best.run->label,
                       word, text(best.figure.median), next.run->label, more, ratio(next));
  }
  if (runs.size() > 2) {
    line += fmt::format(", {} {:.2f} times", last.run->label, ratio(last));
  }
  lines.push_back(line + ".");
}

}  // namespace

std::vector<std::string> replay_answer(const ReplayFile& file) {
  std::vector<std::string> lines;
  const auto sentence = file.json.find("sentence");
  if (sentence != file.json.end() && sentence->is_string() &&
      !sentence->get<std::string>().empty()) {
    std::string text = sentence->get<std::string>();
    if (text.back() != '.') text += '.';
    lines.push_back(std::move(text));
  }
  say_best(
      file, "wall_ns", "fastest", "takes",
      [](double ns) { return host::duration_text(static_cast<uint64_t>(ns)); }, lines);
  say_best(
      file, "rss_max_bytes", "leanest", "needs",
      [](double bytes) { return host::byte_text(static_cast<uint64_t>(bytes)) + " at most"; },
      lines);
  for (const ReplayRun& run : file.runs) {
    if (!run.is_ok()) lines.push_back(fmt::format("{} did not finish: {}.", run.label, run.status));
  }
  return lines;
}

}  // namespace tide::report
