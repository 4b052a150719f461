#include "cli/profile_view.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/byte_text.h"
#include "host/terminal.h"
#include "host/text_table.h"

namespace tide::cli {
namespace {

using profile::Cost;
using profile::Costs;
using profile::Kind;
using profile::Profile;

std::string rounded_bytes(double bytes) {
  return host::short_byte_text(static_cast<uint64_t>(std::llround(std::abs(bytes))));
}

std::string with_error(double bytes, double error) {
  return fmt::format("{}{} +- {}", bytes < 0 ? "-" : "", rounded_bytes(bytes),
                     rounded_bytes(error));
}

std::string lifetime_text(double ns) {
  if (ns < 1e3) return fmt::format("{:.0f}ns", ns);
  if (ns < 1e6) return fmt::format("{:.1f}us", ns / 1e3);
  if (ns < 1e9) return fmt::format("{:.1f}ms", ns / 1e6);
  return fmt::format("{:.1f}s", ns / 1e9);
}

// A function that memory passes through says little: the first one is shown, and who called it.
std::string callers_text(const Profile& profile, const layout::SampledStack& stack,
                         profile::Names& names, size_t most) {
  std::string text;
  size_t shown = 0;
  for (uint32_t i = 0; i < stack.frame_count && shown < most; ++i) {
    for (const host::SourcePlace& place : names.places(profile.frames[stack.first_frame + i])) {
      if (shown++ == most) break;
      if (!text.empty()) text += " < ";
      text += place.function;
      if (place.line == 0 || shown != 1) continue;
      text += fmt::format(" ({}:{})", std::filesystem::path(place.file).filename().string(),
                          place.line);
    }
  }
  return text.empty() ? "(unknown)" : text;
}

// What the figures are, behind "process 4711: ".
std::string headline(const Profile& profile, Kind kind, const Cost& total) {
  const std::string bytes = with_error(total.bytes, total.bytes_error);
  if (kind == Kind::kFragmentation) {
    const std::string all =
        profile.pinned_bytes
            ? fmt::format(", {} by all blocks", host::short_byte_text(*profile.pinned_bytes))
            : "";
    return fmt::format("{} pinned on sparse pages by {:.0f} blocks{}", bytes, total.count, all);
  }
  if (kind == Kind::kResidency) {
    return fmt::format("{} resident, {} swapped out, {} absent of {:.0f} blocks", bytes,
                       rounded_bytes(total.swapped), rounded_bytes(total.absent), total.count);
  }
  return fmt::format("{} {} in {:.0f} blocks", profile::kind_name(kind), bytes, total.count);
}

host::TextTable empty_table(Kind kind) {
  using host::Align;
  const char* const bytes = kind == Kind::kFragmentation ? "PINNED"
                            : kind == Kind::kResidency   ? "RESIDENT"
                                                         : "BYTES";
  std::vector<host::TextTable::Column> columns = {{bytes, Align::kRight}, {"%", Align::kRight}};
  if (kind == Kind::kResidency) {
    columns.push_back({"SWAPPED", Align::kRight});
    columns.push_back({"ABSENT", Align::kRight});
  }
  columns.push_back({"BLOCKS", Align::kRight});
  columns.push_back({"SAMPLES", Align::kRight});
  if (kind == Kind::kLifetime) columns.push_back({"LIVED", Align::kRight});
  columns.push_back({"ALLOCATED BY"});
  return host::TextTable(columns);
}

bool says_something(const Cost& cost) {
  return std::llround(cost.bytes) != 0 || std::llround(cost.swapped + cost.absent) != 0;
}

}  // namespace

// Sampling by places of caches does not see what comes and goes at one place that has no mark.
std::string note_on_calls(const Profile& profile, Kind kind) {
  if (profile::saw_every_call(profile) || (kind != Kind::kAllocated && kind != Kind::kLifetime))
    return "";
  return "not in it: most blocks that a thread's cache took back and gave out again at once; with "
         "--for 30s they are counted from then on, with tide run --profile=FILE -o "
         "profile_calls=on from the start\n";
}

namespace {

// Few blocks may pin much, so that no sample falls on them: a table that is right on average may
// have nothing of it.
std::string note_on_pins(const Profile& profile, const Cost& total) {
  constexpr double kMatters = 1 << 20;
  constexpr double kSigmas = 3;
  const double all = static_cast<double>(profile.pinned_bytes.value_or(0));
  const double explained = total.bytes + kSigmas * total.bytes_error;
  if (all < kMatters || explained > all / 2) return "";
  return "not in it: most of what is pinned, by blocks of which none was a sample; which they are: "
         "tide heap PID frag; a lower --rate finds who allocates them from then on\n";
}

}  // namespace

std::string profile_text(const Profile& profile, profile::Names& names, Kind kind, size_t top) {
  const Costs costs(profile, kind);
  const Cost& total = costs.total();
  std::string text = fmt::format(
      "process {}: {}, from {} samples, one in {} on average{}\n", profile.pid,
      headline(profile, kind, total), total.samples, host::short_byte_text(profile.table.gap_bytes),
      profile.table.missed == 0 ? "" : fmt::format("; {} could not be kept", profile.table.missed));
  if (total.samples == 0) {
    return text +
           "no allocation was a sample; all that is there, sampled "
           "or not: tide heap PID types\n" +
           note_on_calls(profile, kind);
  }
  host::TextTable table = empty_table(kind);
  constexpr size_t kShownFrames = 6;
  size_t rows = 0;
  for (const size_t i : costs.order()) {
    const Cost& cost = costs[i];
    if (rows == top) break;
    if (!says_something(cost)) continue;
    ++rows;
    std::vector<host::TextTable::Cell> cells = {
        {with_error(cost.bytes, cost.bytes_error), {}},
        {total.bytes > 0 ? fmt::format("{:.1f}", 100 * cost.bytes / total.bytes) : "-", {}}};
    if (kind == Kind::kResidency) {
      cells.push_back({rounded_bytes(cost.swapped), {}});
      cells.push_back({rounded_bytes(cost.absent), {}});
    }
    cells.push_back({fmt::format("{:.0f}", cost.count), {}});
    cells.push_back({fmt::format("{}", cost.samples), {}});
    if (kind == Kind::kLifetime) cells.push_back({lifetime_text(cost.mean_lifetime_ns), {}});
    cells.push_back({callers_text(profile, profile.stacks[i], names, kShownFrames), {}});
    table.add_row(std::move(cells));
  }
  return text + table.render(host::Terminal(STDOUT_FILENO)) + note_on_calls(profile, kind) +
         (kind == Kind::kFragmentation ? note_on_pins(profile, total) : "");
}

std::string profile_json(const Profile& profile, profile::Names& names, Kind kind, size_t top) {
  using Json = nlohmann::ordered_json;
  const Costs costs(profile, kind);
  const auto add_cost = [&](Json& json, const Cost& cost) {
    json["bytes"] = cost.bytes;
    json["bytes_error"] = cost.bytes_error;
    json["blocks"] = cost.count;
    json["blocks_error"] = cost.count_error;
    json["samples"] = cost.samples;
    if (kind == Kind::kLifetime) json["mean_lifetime_ns"] = cost.mean_lifetime_ns;
    if (kind != Kind::kResidency) return;
    json["swapped_bytes"] = cost.swapped;
    json["absent_bytes"] = cost.absent;
  };
  Json json = {{"tide_profile", 1},
               {"process", profile.pid},
               {"kind", profile::kind_name(kind)},
               {"rate_bytes", profile.table.gap_bytes},
               {"duration_ns", profile.now_ns - profile.table.start_ns},
               {"missed", profile.table.missed},
               {"every_call", profile::saw_every_call(profile)}};
  if (kind == Kind::kFragmentation && profile.pinned_bytes) {
    json["pinned_by_all_bytes"] = *profile.pinned_bytes;
  }
  add_cost(json["total"], costs.total());
  Json& stacks = json["stacks"] = Json::array();
  for (const size_t i : costs.order()) {
    if (stacks.size() == top) break;
    if (!says_something(costs[i])) continue;
    const layout::SampledStack& stack = profile.stacks[i];
    Json row;
    add_cost(row, costs[i]);
    Json& frames = row["frames"] = Json::array();
    for (uint32_t f = 0; f < stack.frame_count; ++f) {
      for (const host::SourcePlace& place : names.places(profile.frames[stack.first_frame + f])) {
        frames.push_back(
            {{"function", place.function}, {"file", place.file}, {"line", place.line}});
      }
    }
    stacks.push_back(std::move(row));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tide::cli
