// `tide profile`: where the memory of a process on Tide was allocated, from a sample of its
// allocations. The process is not stopped; its sampling is switched on by two words in it.

#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/command.h"
#include "cli/option_table.h"
#include "cli/process_number.h"
#include "cli/screen.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "host/output_file.h"
#include "host/proc.h"
#include "host/progress.h"
#include "host/terminal.h"
#include "host/text_table.h"
#include "profile/export.h"
#include "profile/profile.h"
#include "walk/live_target.h"
#include "walk/tide_root.h"

namespace tide::cli {
namespace {

using profile::Cost;
using profile::Kind;
using profile::Profile;

constexpr HelpText kHelp = {
    "  tide profile 4711\n"
    "  tide profile 4711 --for 30s --kind growth\n"
    "  tide profile 4711 -o heap.pb.gz && pprof -http=: heap.pb.gz\n",
    "tide profile [OPTIONS] PID|FILE",
    "Shows where the memory of a process on Tide was allocated, from a sample of its allocations.\n"
    "Switches sampling on in PID, which goes on and is not stopped; it stays on until --stop. "
    "Blocks\n"
    "that were allocated before are not in the profile. FILE is what a program left that ran with\n"
    "'tide run --profile=FILE'.\n",
    "Kinds: inuse (what is live), allocated (since sampling began), peak (live when the whole was\n"
    "highest), lifetime (of what was freed), growth (of what is live, during --for).\n"
    "Each figure is an estimate; +- is its standard error. A thread that allocates and frees in a\n"
    "short cycle is seen by chance: for it, 'allocated' is less certain than that says.\n"};

struct Wishes {
  std::string target;
  std::string kind = "inuse";
  std::string duration;
  std::string rate;
  std::string output;
  size_t top = 20;
  bool stop = false;
  bool as_json = false;
  bool folded = false;
};

[[noreturn]] void fail_usage(const std::string& message) {
  throw host::Error(fmt::format("{}; see: tide profile --help", message), host::kExitUsage);
}

Kind kind_of(const std::string& name) {
  constexpr std::pair<const char*, Kind> kKinds[] = {{"inuse", Kind::kInUse},
                                                     {"allocated", Kind::kAllocated},
                                                     {"peak", Kind::kPeak},
                                                     {"lifetime", Kind::kLifetime},
                                                     {"growth", Kind::kGrowth}};
  for (const auto& [known, kind] : kKinds) {
    if (name == known) return kind;
  }
  fail_usage(
      fmt::format("--kind: '{}' is neither inuse, allocated, peak, lifetime nor growth", name));
}

// "30s", "500ms", "2m"; a plain number is seconds.
double seconds_of(const std::string& text) {
  size_t used = 0;
  double value = -1;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
  }
  const std::string unit = text.substr(used);
  const double factor = unit.empty() || unit == "s" ? 1
                        : unit == "ms"              ? 1e-3
                        : unit == "m"               ? 60
                                                    : 0;
  if (!(value > 0) || factor == 0 || value * factor > 7 * 86400) {
    fail_usage(fmt::format("--for: '{}' is not a duration such as 30s", text));
  }
  return value * factor;
}

// The samples of a process that runs.
class LiveProfile {
 public:
  explicit LiveProfile(int pid) : pid_(pid), target_(pid, false) {
    for (const uint64_t root : walk::find_roots(target_)) {
      const walk::TideRoot described = walk::read_tide_root(target_, root);
      const layout::HeapRoot& known = described.root;
      if (known.bytes < sizeof known || known.profile == nullptr) {
        throw host::Error(fmt::format("process {} runs on a Tide without profiles (version {})",
                                      pid, described.version));
      }
      if (walk::load_from<uint8_t>(target_, described.at(known.started)) == 0) continue;
      if (walk::load_from<uint32_t>(target_, reinterpret_cast<uint64_t>(known.hardening.level)) !=
          0) {
        throw host::Error(
            fmt::format("process {} is in hardened mode, which has no profiles", pid));
      }
      address_ = reinterpret_cast<uint64_t>(known.profile);
      return;
    }
    throw host::Error(not_on_tide(pid, host::Proc().command(pid)));
  }

  Profile read() const {
    Profile result = profile::read_profile(
        [&](uint64_t address, void* to, size_t bytes) {
          target_.read({{address, to, bytes}});
        },
        address_);
    result.maps = host::parse_maps(host::Proc().read(pid_, "maps"));
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    result.now_ns =
        static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
    clock_gettime(CLOCK_REALTIME, &now);
    result.real_now_ns =
        static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
    result.pid = pid_;
    // Switched on from outside, nobody has noted when.
    if (result.table.start_ns == 0) result.table.start_ns = result.now_ns;
    return result;
  }

  // Returns whether sampling was off.
  bool start(uint64_t gap_bytes) const {
    const auto table = walk::load_from<layout::ProfileTable>(target_, address_);
    if (table.is_on != 0 && (gap_bytes == 0 || gap_bytes == table.gap_bytes)) return false;
    constexpr uint64_t kUsualGap = uint64_t{512} << 10;
    const uint64_t gap = gap_bytes != 0 ? gap_bytes : kUsualGap;
    const Profile now = read();
    write(offsetof(layout::ProfileTable, gap_bytes), gap);
    if (table.start_ns == 0) write(offsetof(layout::ProfileTable, start_ns), now.now_ns);
    write(offsetof(layout::ProfileTable, is_on), uint32_t{1});
    return table.is_on == 0;
  }
  void stop() const { write(offsetof(layout::ProfileTable, is_on), uint32_t{0}); }

 private:
  template <class T>
  void write(size_t offset, T value) const {
    const iovec here{&value, sizeof value};
    const iovec there{reinterpret_cast<void*>(address_ + offset), sizeof value};
    if (process_vm_writev(pid_, &here, 1, &there, 1, 0) != sizeof value) {
      throw host::Error(
          fmt::format("can't switch sampling in process {}: {}", pid_, std::strerror(errno)));
    }
  }

  int pid_;
  walk::LiveTarget target_;
  uint64_t address_ = 0;
};

void wait_for(double seconds) {
  catch_interrupts();
  wait_for_end(seconds, false);
}

std::string with_error(double bytes, double error) {
  const std::string sign = bytes < 0 ? "-" : "";
  return fmt::format("{}{} +- {}", sign,
                     host::short_byte_text(static_cast<uint64_t>(std::llround(std::abs(bytes)))),
                     host::short_byte_text(static_cast<uint64_t>(std::llround(error))));
}

std::string duration_text(double ns) {
  if (ns < 1e3) return fmt::format("{:.0f}ns", ns);
  if (ns < 1e6) return fmt::format("{:.1f}us", ns / 1e3);
  if (ns < 1e9) return fmt::format("{:.1f}ms", ns / 1e6);
  return fmt::format("{:.1f}s", ns / 1e9);
}

// A function that memory passes through says little: the first one is shown, and who called it.
std::string stack_text(const Profile& profile, const layout::SampledStack& stack,
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

std::vector<const layout::SampledStack*> by_cost(const Profile& profile, Kind kind) {
  std::vector<const layout::SampledStack*> order;
  for (const layout::SampledStack& stack : profile.stacks) order.push_back(&stack);
  std::stable_sort(order.begin(), order.end(), [&](const auto* a, const auto* b) {
    return profile::cost_of(*a, kind).bytes > profile::cost_of(*b, kind).bytes;
  });
  return order;
}

std::string text_of(const Profile& profile, profile::Names& names, const Wishes& wishes,
                    Kind kind) {
  const Cost total = profile::total_cost(profile, kind);
  std::string text = fmt::format(
      "process {}: {} {} in {:.0f} blocks, from {} samples, one in {} on average{}\n", profile.pid,
      wishes.kind, with_error(total.bytes, total.bytes_error), total.count, total.samples,
      host::short_byte_text(profile.table.gap_bytes),
      profile.table.missed == 0 ? "" : fmt::format("; {} could not be kept", profile.table.missed));
  if (total.samples == 0) return text;
  using host::Align;
  std::vector<host::TextTable::Column> columns = {{"BYTES", Align::kRight},
                                                  {"%", Align::kRight},
                                                  {"BLOCKS", Align::kRight},
                                                  {"SAMPLES", Align::kRight}};
  if (kind == Kind::kLifetime) columns.push_back({"LIVED", Align::kRight});
  columns.push_back({"ALLOCATED BY"});
  host::TextTable table(columns);
  constexpr size_t kShownFrames = 6;
  size_t rows = 0;
  for (const layout::SampledStack* const stack : by_cost(profile, kind)) {
    const Cost cost = profile::cost_of(*stack, kind);
    if (rows == wishes.top || (cost.bytes <= 0 && kind != Kind::kGrowth)) break;
    if (std::llround(cost.bytes) == 0) continue;
    ++rows;
    std::vector<host::TextTable::Cell> cells = {
        {with_error(cost.bytes, cost.bytes_error), {}},
        {total.bytes > 0 ? fmt::format("{:.1f}", 100 * cost.bytes / total.bytes) : "-", {}},
        {fmt::format("{:.0f}", cost.count), {}},
        {fmt::format("{}", cost.samples), {}}};
    if (kind == Kind::kLifetime) cells.push_back({duration_text(cost.mean_lifetime_ns), {}});
    cells.push_back({stack_text(profile, *stack, names, kShownFrames), {}});
    table.add_row(std::move(cells));
  }
  return text + table.render(host::Terminal(STDOUT_FILENO));
}

std::string json_of(const Profile& profile, profile::Names& names, const Wishes& wishes,
                    Kind kind) {
  using Json = nlohmann::ordered_json;
  const auto add_cost = [&](Json& json, const Cost& cost) {
    json["bytes"] = cost.bytes;
    json["bytes_error"] = cost.bytes_error;
    json["blocks"] = cost.count;
    json["blocks_error"] = cost.count_error;
    json["samples"] = cost.samples;
    if (kind == Kind::kLifetime) json["mean_lifetime_ns"] = cost.mean_lifetime_ns;
  };
  Json json = {{"tide_profile", 1},
               {"process", profile.pid},
               {"kind", wishes.kind},
               {"rate_bytes", profile.table.gap_bytes},
               {"duration_ns", profile.now_ns - profile.table.start_ns},
               {"missed", profile.table.missed}};
  add_cost(json["total"], profile::total_cost(profile, kind));
  Json& stacks = json["stacks"] = Json::array();
  for (const layout::SampledStack* const stack : by_cost(profile, kind)) {
    if (stacks.size() == wishes.top) break;
    const Cost cost = profile::cost_of(*stack, kind);
    if (std::llround(cost.bytes) == 0) continue;
    Json row;
    add_cost(row, cost);
    Json& frames = row["frames"] = Json::array();
    for (uint32_t i = 0; i < stack->frame_count; ++i) {
      for (const host::SourcePlace& place : names.places(profile.frames[stack->first_frame + i])) {
        frames.push_back(
            {{"function", place.function}, {"file", place.file}, {"line", place.line}});
      }
    }
    stacks.push_back(std::move(row));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

uint64_t rate_of(const std::string& text) {
  if (text.empty()) return 0;
  uint64_t number = 0;
  if (const auto fault = option_fault("profile_rate", text)) {
    fail_usage(fmt::format("--rate: {}", *fault));
  }
  api::check_value(api::kOptionRows[api::find_option("profile_rate")], text, number);
  return number;
}

Profile profile_of_process(const Wishes& wishes, Kind kind) {
  const LiveProfile live(parse_process_number("profile", wishes.target));
  const bool was_off = live.start(rate_of(wishes.rate));
  double seconds = wishes.duration.empty() ? 0 : seconds_of(wishes.duration);
  constexpr double kFirstLook = 10;  // of a process that has no samples yet
  if (seconds == 0 && (was_off || kind == Kind::kGrowth)) seconds = kFirstLook;
  const Profile before = live.read();
  if (seconds > 0) {
    if (host::Terminal(STDERR_FILENO).is_terminal() || was_off) {
      fmt::print(stderr, "tide profile: sampling for {:g} s\n", seconds);
    }
    wait_for(seconds);
  }
  Profile now = live.read();
  if (wishes.stop) live.stop();
  return kind == Kind::kGrowth ? profile::growth(before, std::move(now)) : now;
}

int run(const Arguments& arguments) {
  VerbParser parser(kProfileCommand, kHelp);
  Wishes wishes;
  parser.add_option("PID|FILE", wishes.target)->group("")->required();
  parser.add_option("--for", wishes.duration, "Wait so long before the profile is read")
      ->type_name("DURATION");
  parser.add_option("--kind", wishes.kind, "inuse, allocated, peak, lifetime or growth")
      ->type_name("KIND");
  parser.add_option("--rate", wishes.rate, "One sample in so many bytes, 512K by default")
      ->type_name("BYTES");
  parser.add_flag("--stop", wishes.stop, "Switch sampling off afterwards");
  parser.add_option("--top", wishes.top, "Stacks to show, 20 by default")->type_name("N");
  parser.add_option("-o,--output", wishes.output, "Write a profile for pprof to FILE")
      ->type_name("FILE");
  parser.add_flag("--folded", wishes.folded, "Print a line per stack, for flame graphs");
  parser.add_flag("--json", wishes.as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  const Kind kind = kind_of(wishes.kind);
  if (wishes.folded && wishes.as_json) fail_usage("--folded and --json exclude each other");

  const bool is_file = std::filesystem::exists(wishes.target) &&
                       wishes.target.find_first_not_of("0123456789") != std::string::npos;
  if (is_file && kind == Kind::kGrowth) {
    fail_usage("--kind growth: needs a process, a file has one point in time only");
  }
  const Profile profile =
      is_file ? profile::load_profile(wishes.target) : profile_of_process(wishes, kind);
  profile::Names names(profile);
  if (!wishes.output.empty()) {
    host::OutputFile file(wishes.output);
    file.write(profile::pprof_of(profile, names, kind));
    file.close();
  }
  if (wishes.as_json) {
    print(json_of(profile, names, wishes, kind));
  } else if (wishes.folded) {
    print(profile::folded_of(profile, names, kind));
  } else {
    print(text_of(profile, names, wishes, kind));
  }
  return host::kExitOk;
}

}  // namespace

const Command kProfileCommand = {"profile", "Show where live memory was allocated, by sampling",
                                 run};

}  // namespace tide::cli
