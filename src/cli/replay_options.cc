#include "cli/replay_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "api/option_value.h"
#include "cli/option_table.h"
#include "host/error.h"

namespace tide::cli {

using replay::Allocator;

namespace {

[[noreturn]] void fail_usage(const std::string& message) {
  throw host::Error(fmt::format("{}; see: tide replay --help", message), host::kExitUsage);
}

// The parts between commas; none is empty.
std::vector<std::string> split(std::string_view text, std::string_view option) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t end = std::min(text.find(','), text.size());
    if (end == 0) fail_usage(fmt::format("{}: there is nothing before or after a comma", option));
    parts.emplace_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

uint64_t duration_of(std::string_view option, const std::string& text) {
  uint64_t ns = 0;
  if (text.empty()) return 0;
  if (!api::parse_duration(text, ns) || ns == 0) {
    fail_usage(fmt::format("{}: '{}' is no time, as 500ms, 1s or 2m", option, text));
  }
  return ns;
}

uint64_t bytes_of(std::string_view option, const std::string& text) {
  uint64_t bytes = 0;
  if (text.empty()) return 0;
  if (!api::parse_bytes(text, bytes) || bytes == 0) {
    fail_usage(fmt::format("{}: '{}' is no size, as 512M or 2G", option, text));
  }
  return bytes;
}

replay::LimitBy limit_by_of(const std::string& text) {
  if (text.empty()) return replay::LimitBy::kEither;
  if (text == "group") return replay::LimitBy::kGroup;
  if (text == "rlimit") return replay::LimitBy::kAddressSpace;
  fail_usage(fmt::format("--limit-by is group or rlimit, not '{}'", text));
}

format::ReplayTouch touch_of(const std::string& text) {
  if (text == "recorded") return format::ReplayTouch::kRecorded;
  if (text == "page") return format::ReplayTouch::kPage;
  if (text == "all") return format::ReplayTouch::kAll;
  fail_usage(fmt::format("--touch is recorded, page or all, not '{}'", text));
}

// What the library itself would say of an option of Tide's.
void check(const Allocator& allocator) {
  if (allocator.name != "tide") return;
  for (const auto& [option, value] : allocator.options) {
    // A variable that is not Tide's is nobody's business here.
    if (std::isupper(static_cast<unsigned char>(option[0])) != 0 && !option.starts_with("TIDE_")) {
      continue;
    }
    const std::optional<api::OptionId> id = find_option(option);
    const std::string name =
        id ? std::string(api::kOptionRows[static_cast<size_t>(*id)].name) : option;
    if (const auto fault = option_fault(name, value)) {
      throw host::Error(fmt::format("tide: {}", *fault), host::kExitUsage);
    }
  }
}

}  // namespace

void ReplayOptions::add_to(VerbParser& parser) {
  parser.add_option("WORKLOAD", workload)->group("");
  parser.add_option("--with", with, "The allocators, in this order; may be given more than once")
      ->type_name("NAME[=PATH][:OPTION=VALUE],...")
      ->allow_extra_args(false);
  parser.add_option("--reps", repetitions_, "Repetitions of each; 5 unless given")->type_name("N");
  parser.add_option("--speed", speed_, "max, or recorded: with the program's own pauses")
      ->type_name("SPEED");
  parser
      .add_option("--touch", touch_,
                  "Write to blocks as recorded, to each page once, or to all of them")
      ->type_name("recorded|page|all");
  parser.add_option("--scale", scale_, "So many copies of the workload at once")->type_name("N");
  parser
      .add_option("--threads-per-core", threads_per_core_,
                  "Tie the threads to cores, so many to each")
      ->type_name("N");
  parser
      .add_option(
          "--limit", limit_,
          "Limit the memory of an allocator, the player's own aside: by a control group, or, where "
          "none can be made, its address space (RLIMIT_AS)")
      ->type_name("SIZE");
  parser.add_option("--limit-by", limit_by_, "Only in that way")->type_name("group|rlimit");
  parser
      .add_option("--trim-every", trim_every_,
                  "Let the allocator give memory back after each such time of the recording")
      ->type_name("TIME");
  parser.add_option("--timeout", timeout_, "A repetition that takes longer hangs")
      ->type_name("TIME");
  parser
      .add_option("--sweep", sweep_,
                  "Each allocator with each of these values of an option or a variable")
      ->type_name("OPTION=A,B,...");
  parser
      .add_option("--measure", measure_,
                  "What is measured in passes of its own: latency, syscalls, pages; or none")
      ->type_name("WHAT,...");
  parser.add_option("-o,--output", output, "Write the result as JSON to this file, too")
      ->type_name("FILE");
  parser.add_option("--ledger", ledger, "Append every repetition's figures to this file")
      ->type_name("FILE");
  parser.add_option("--baseline", baseline, "Compare with what -o wrote of an earlier replay")
      ->type_name("FILE");
  parser
      .add_option("--fail-if", conditions,
                  "With --baseline: exit 1 when a figure has changed by more, and not by chance")
      ->type_name("FIGURE>+N% or <-N%")
      ->allow_extra_args(false);
  parser.add_flag("--json", wants_json, "Print the result as JSON");
}

replay::Plan ReplayOptions::plan() const {
  if (workload.empty()) fail_usage("WORKLOAD is missing");
  if (repetitions_ == 0 || repetitions_ > 1000) fail_usage("--reps is from 1 to 1000");
  if (scale_ == 0 || scale_ > 10'000) fail_usage("--scale is from 1 to 10000");
  if (speed_ != "max" && speed_ != "recorded") {
    fail_usage(fmt::format("--speed is max or recorded, not '{}'", speed_));
  }
  if (baseline.empty() && !conditions.empty()) fail_usage("--fail-if needs --baseline FILE");
  replay::Plan plan;
  plan.repetitions = repetitions_;
  plan.settings.touch = touch_of(touch_);
  plan.settings.at_recorded_speed = speed_ == "recorded";
  plan.settings.copies = scale_;
  plan.settings.threads_per_core = threads_per_core_;
  plan.settings.trim_every_ns = duration_of("--trim-every", trim_every_);
  plan.settings.timeout_ns = duration_of("--timeout", timeout_);
  plan.settings.limit_bytes = bytes_of("--limit", limit_);
  plan.settings.limit_by = limit_by_of(limit_by_);
  if (limit_.empty() && !limit_by_.empty()) fail_usage("--limit-by needs --limit SIZE");
  plan.measures_latency = plan.measures_system_calls = plan.measures_pages = false;
  for (const std::string& what : split(measure_, "--measure")) {
    if (what == "latency") {
      plan.measures_latency = true;
    } else if (what == "syscalls") {
      plan.measures_system_calls = true;
    } else if (what == "pages") {
      plan.measures_pages = true;
    } else if (what != "none") {
      fail_usage(fmt::format("--measure is latency, syscalls, pages or none, not '{}'", what));
    }
  }
  plan.allocators = allocators();
  return plan;
}

std::optional<Experiment> ReplayOptions::experiment() const {
  if (sweep_.empty()) return std::nullopt;
  const size_t equals = sweep_.find('=');
  if (equals == std::string::npos || equals == 0) {
    fail_usage(fmt::format("--sweep: '{}' is not of the form OPTION=A,B,...", sweep_));
  }
  return Experiment{sweep_.substr(0, equals), split(sweep_.substr(equals + 1), "--sweep")};
}

std::vector<Allocator> ReplayOptions::allocators() const {
  std::vector<Allocator> bases;
  for (const std::string& list : with) {
    for (const std::string& each : split(list, "--with"))
      bases.push_back(replay::parse_allocator(each));
  }
  if (with.empty()) bases = replay::installed_allocators();
  std::vector<Allocator> all;
  const std::optional<Experiment> sweep = experiment();
  for (const Allocator& base : bases) {
    if (!sweep) {
      all.push_back(base);
      continue;
    }
    for (const std::string& value : sweep->values) {
      all.push_back(replay::with_option(base, sweep->option, value));
    }
  }
  for (size_t i = 0; i < all.size(); ++i) {
    check(all[i]);
    for (size_t j = 0; j < i; ++j) {
      if (all[i].label == all[j].label)
        fail_usage(fmt::format("'{}' is there twice", all[i].label));
    }
  }
  return all;
}

}  // namespace tide::cli
