#include "cli/replay_baseline.h"

#include <fmt/format.h>

#include <fstream>

#include "host/error.h"

namespace tide::cli {

using replay::Comparison;
using replay::Condition;
using replay::Verdict;

namespace {

std::string_view figure_key(replay::FigureId id) {
  return replay::kFigureNames[static_cast<size_t>(id)].key;
}

std::vector<double> samples_of(const nlohmann::ordered_json& run, replay::FigureId id) {
  const auto figure = run.find(figure_key(id));
  if (figure == run.end() || !figure->is_object() || !figure->contains("samples")) return {};
  return figure->at("samples").get<std::vector<double>>();
}

std::string verdict_text(const Condition& condition, const Comparison& comparison) {
  const double change =
      comparison.before == 0 ? 0 : 100 * (comparison.now - comparison.before) / comparison.before;
  switch (comparison.verdict) {
    case Verdict::kNotMeasured:
      return "not measured in both";
    case Verdict::kNoDifference:
      return fmt::format("no difference ({:+.1f} %, p = {:.2f})", change, comparison.chance);
    case Verdict::kWithin:
      return fmt::format("within ({:+.1f} %, p = {:.2g})", change, comparison.chance);
    case Verdict::kFails:
      return fmt::format("FAILS {} ({:+.1f} %, p = {:.2g})", condition.text, change,
                         comparison.chance);
  }
  return {};
}

}  // namespace

Baseline::Baseline(const std::string& path, const std::vector<std::string>& conditions)
    : path_(path) {
  for (const std::string& text : conditions) conditions_.push_back(Condition::parse(text));
  if (conditions_.empty()) {
    throw host::Error("--baseline needs --fail-if, as --fail-if 'rss>+3%'; see: tide replay --help",
                      host::kExitUsage);
  }
  std::ifstream file(path);
  if (!file) throw host::Error(fmt::format("--baseline: '{}' can't be read", path));
  json_ = nlohmann::ordered_json::parse(file, nullptr, false);
  if (!json_.is_object() || json_.value("tide_replay", 0) != 1 || !json_.contains("runs") ||
      !json_["runs"].is_array()) {
    throw host::Error(
        fmt::format("--baseline: '{}' is no result of tide replay -o, or not of version 1", path));
  }
}

Baseline::Outcome Baseline::compare(const replay::ReplayResult& result) const {
  Outcome outcome;
  bool found = false;
  for (const replay::AllocatorResult& run : result.runs) {
    for (const nlohmann::ordered_json& before : json_["runs"]) {
      if (!before.is_object() || before.value("label", "") != run.allocator.label) continue;
      found = true;
      if (!run.is_ok() && before.value("status", "") == "ok") {
        outcome.fails = true;
        outcome.text += fmt::format("  {}: FAILS: {}\n", run.allocator.label, run.status);
        continue;
      }
      for (const Condition& condition : conditions_) {
        const Comparison comparison =
            replay::compare(condition, samples_of(before, condition.figure),
                            run.figure(condition.figure).samples());
        outcome.fails |= comparison.verdict == Verdict::kFails;
        outcome.text +=
            fmt::format("  {}: {}: {}\n", run.allocator.label,
                        replay::kFigureNames[static_cast<size_t>(condition.figure)].short_name,
                        verdict_text(condition, comparison));
      }
    }
  }
  if (!found) {
    throw host::Error(fmt::format("--baseline: '{}' has none of these allocators", path_));
  }
  outcome.text = fmt::format("\nAgainst {}\n{}", path_, outcome.text);
  return outcome;
}

}  // namespace tide::cli
