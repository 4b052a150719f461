// `tide profile`: where the memory of a process on Tide was allocated, from a sample of its
// allocations. Its sampling is switched on by two words in it.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "cli/command.h"
#include "cli/option_table.h"
#include "cli/process_number.h"
#include "cli/profile_push.h"
#include "cli/profile_source.h"
#include "cli/profile_view.h"
#include "cli/profile_watch.h"
#include "host/error.h"
#include "host/output_file.h"
#include "host/terminal.h"
#include "profile/export.h"

namespace tide::cli {
namespace {

using profile::Kind;
using profile::Profile;

constexpr HelpText kHelp = {
    "  tide profile 4711\n"
    "  tide profile 4711 --for 30s --kind growth\n"
    "  tide profile 4711 --kind fragmentation\n"
    "  tide profile 4711 -o heap.pb.gz && pprof -http=: heap.pb.gz\n"
    "  tide profile 4711 --every 10s -o heap.pb.gz; tide report heap-*.pb.gz -o course.html\n"
    "  tide profile 4711 --push http://localhost:4040 --every 10s\n",
    "tide profile [OPTIONS] PID|FILE|CORE",
    "Shows where the memory of a process on Tide was allocated, from a sample of its allocations.\n"
    "Switches sampling on in PID, which goes on; it stays on until --stop. Blocks that were\n"
    "allocated before are not in the profile. FILE is what a program left that ran with\n"
    "'tide run --profile=FILE'; CORE is of a process that was profiled.\n",
    "Kinds: inuse (what is live), allocated (since sampling began), peak (live when the whole was\n"
    "highest), lifetime (of what was freed), growth (of what is live, during --for),\n"
    "fragmentation (what live blocks keep from going back: bytes beyond the live ones on their\n"
    "pages, shared by who is on them; PID is stopped for a moment), residency (which part of what\n"
    "is live is resident, swapped out, or absent: never touched, or given back).\n"
    "Each figure is an estimate; +- is its standard error. For allocated and lifetime every call\n"
    "of malloc in PID is counted during --for, at some 70 instructions each. Otherwise blocks\n"
    "that a thread frees and takes again at once are in them by chance, which is said below.\n"
    "\n"
    "--every with -o heap.pb.gz writes heap-0001.pb.gz, heap-0002.pb.gz and so on.\n"
    "--push sends it to Pyroscope (http://, or pyroscope-push+http:// for its newer interface) or\n"
    "to Parca (parca+http://, or parca-json+http:// for a gateway), each with https, too. A token\n"
    "comes from --token-file or TIDE_PUSH_TOKEN, with TIDE_PUSH_USER as this user's password;\n"
    "TIDE_PUSH_TENANT is the tenant.\n"};

struct Wishes {
  std::string target;
  std::string kind = "inuse";
  std::string duration;
  std::string rate;
  std::string output;
  std::string sysroot;
  std::string every;
  PushWishes push;
  size_t top = 20;
  bool stop = false;
  bool no_stop = false;
  bool as_json = false;
  bool folded = false;
};

[[noreturn]] void refuse_wish(const std::string& message) {
  throw host::Error(fmt::format("{}; see: tide profile --help", message), host::kExitUsage);
}

Kind kind_of(const std::string& name) {
  const auto kind = profile::find_kind(name);
  if (!kind) refuse_wish(fmt::format("--kind: '{}' is not {}", name, profile::kind_list()));
  return *kind;
}

// "30s", "500ms", "2m"; a plain number is seconds.
double seconds_of(const char* option, const std::string& text) {
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
    refuse_wish(fmt::format("{}: '{}' is not a duration such as 30s", option, text));
  }
  return value * factor;
}

uint64_t rate_of(const std::string& text) {
  if (text.empty()) return 0;
  uint64_t number = 0;
  if (const auto fault = option_fault("profile_rate", text)) {
    refuse_wish(fmt::format("--rate: {}", *fault));
  }
  api::check_value(api::kOptionRows[api::find_option("profile_rate")], text, number);
  return number;
}

// Only kinds of what comes and goes need every call.
LiveProfile::Calls calls_for(Kind kind) {
  using Calls = LiveProfile::Calls;
  return kind == Kind::kAllocated || kind == Kind::kLifetime ? Calls::kEvery : Calls::kByPlaces;
}

// Switches sampling on for as long as the object lives, and leaves it on afterwards in the way that
// it is cheap enough for that, or off.
class Sampling {
 public:
  Sampling(const LiveProfile& live, uint64_t rate, LiveProfile::Calls calls)
      : live_(live),
        raises_(calls == LiveProfile::Calls::kEvery && !live.counts_calls()),
        was_off_(live.start(rate, calls)) {}
  bool was_off() const { return was_off_; }
  void end(const ProfileWatch& watch, bool stop) const {
    if (watch.has_ended()) return;
    if (stop) return live_.stop();
    if (raises_) live_.count_no_calls();
  }

 private:
  const LiveProfile& live_;
  bool raises_;
  bool was_off_;
};

void check_push(const Wishes& wishes) {
  if (!wishes.every.empty() && (wishes.as_json || wishes.folded)) {
    refuse_wish("--every: is for --push and -o, without --json and --folded");
  }
  if (!wishes.every.empty() && wishes.push.target.empty() == wishes.output.empty()) {
    refuse_wish("--every: needs --push or -o, one of them");
  }
  if (!wishes.push.target.empty()) return;
  const std::pair<const char*, bool> of_pushes[] = {
      {"--name", !wishes.push.name.empty()},
      {"--label", !wishes.push.labels.empty()},
      {"--token-file", !wishes.push.token_file.empty()}};
  for (const auto& [option, is_given] : of_pushes) {
    if (is_given) refuse_wish(fmt::format("{}: needs --push", option));
  }
}

// Of a file: what needs a process that runs is refused.
void check_file(const Wishes& wishes, Kind kind) {
  if (!std::filesystem::exists(wishes.target)) {
    refuse_wish(fmt::format("'{}' is neither the number of a process nor a file that is there",
                            wishes.target));
  }
  if (kind == Kind::kGrowth) {
    refuse_wish("--kind growth: needs a process, a file has one point in time only");
  }
  const std::pair<const char*, bool> of_processes[] = {{"--for", !wishes.duration.empty()},
                                                       {"--rate", !wishes.rate.empty()},
                                                       {"--stop", wishes.stop},
                                                       {"--every", !wishes.every.empty()},
                                                       {"--no-stop", wishes.no_stop}};
  for (const auto& [option, is_given] : of_processes) {
    if (is_given)
      refuse_wish(fmt::format("{}: needs a process, '{}' is a file", option, wishes.target));
  }
}

void say_pushed(const ProfilePusher& pusher) {
  fmt::print(stderr, "tide profile: {} profile{} pushed to {}\n", pusher.pushed(),
             pusher.pushed() == 1 ? "" : "s", pusher.url());
}

void push_every(const Wishes& wishes, Kind kind) {
  const uint64_t rate = rate_of(wishes.rate);
  const double every = seconds_of("--every", wishes.every);
  const double seconds = wishes.duration.empty() ? 0 : seconds_of("--for", wishes.duration);
  const int pid = parse_process_number("profile", wishes.target);
  ProfilePusher pusher(wishes.push, kind, pid);
  const LiveProfile live(pid);
  const Sampling sampling(live, rate, calls_for(kind));
  ProfileWatch watch(live, kind, !wishes.no_stop, calls_for(kind));
  pusher.push_all(watch, every, seconds);
  sampling.end(watch, wishes.stop);
  say_pushed(pusher);
}

// "heap.pb.gz" and 7: "heap-0007.pb.gz", so that names are in order.
std::string numbered(const std::string& path, size_t number) {
  const size_t name = path.rfind('/') + 1;  // 0 without a folder
  const size_t dot = path.find('.', name + 1);
  const size_t at = dot == std::string::npos ? path.size() : dot;
  return fmt::format("{}-{:04}{}", path.substr(0, at), number, path.substr(at));
}

void write_every(const Wishes& wishes, Kind kind) {
  const uint64_t rate = rate_of(wishes.rate);
  const double every = seconds_of("--every", wishes.every);
  const double seconds = wishes.duration.empty() ? 0 : seconds_of("--for", wishes.duration);
  const LiveProfile live(parse_process_number("profile", wishes.target));
  const Sampling sampling(live, rate, calls_for(kind));
  ProfileWatch watch(live, kind, !wishes.no_stop, calls_for(kind));
  size_t written = 0;
  uint64_t last_ns = 0;
  watch.repeat(every, seconds, [&] {
    if (watch.has_ended() && profile::is_of_pages(kind) && written != 0) return;
    const Profile profile = watch.take();
    if (profile.real_now_ns == last_ns) return;  // it ended, and was seen no more
    last_ns = profile.real_now_ns;
    profile::Names names(profile);
    host::OutputFile file(numbered(wishes.output, ++written));
    file.write(profile::pprof_of(profile, names, kind));
    file.close();
  });
  sampling.end(watch, wishes.stop);
  fmt::print(stderr, "tide profile: {} profile{} written, the last is {}\n", written,
             written == 1 ? "" : "s", numbered(wishes.output, written));
}

Profile profile_of_process(const Wishes& wishes, Kind kind) {
  const uint64_t rate = rate_of(wishes.rate);
  double seconds = wishes.duration.empty() ? 0 : seconds_of("--for", wishes.duration);
  const LiveProfile live(parse_process_number("profile", wishes.target));
  constexpr double kFirstLook = 10;  // of a process that has no samples yet
  const bool waits = seconds > 0 || !live.is_on();
  const auto calls = waits ? calls_for(kind) : LiveProfile::Calls::kByPlaces;
  const Sampling sampling(live, rate, calls);
  const bool was_off = sampling.was_off();
  if (seconds == 0 && (was_off || kind == Kind::kGrowth)) seconds = kFirstLook;
  ProfileWatch watch(live, kind, !wishes.no_stop, calls);
  if (seconds > 0) {
    if (host::Terminal(STDERR_FILENO).is_terminal() || was_off) {
      fmt::print(stderr, "tide profile: sampling for {:g} s\n", seconds);
    }
    watch.wait(seconds);
  }
  Profile now = watch.take();
  sampling.end(watch, wishes.stop);
  return now;
}

int run(const Arguments& arguments) {
  VerbParser parser(kProfileCommand, kHelp);
  Wishes wishes;
  parser.add_option("PID|FILE|CORE", wishes.target)->group("")->required();
  parser.add_option("--for", wishes.duration, "Wait so long before the profile is read")
      ->type_name("DURATION");
  parser.add_option("--kind", wishes.kind, profile::kind_list())->type_name("KIND");
  parser.add_option("--rate", wishes.rate, "One sample in so many bytes, 512K by default")
      ->type_name("BYTES");
  parser.add_flag("--stop", wishes.stop, "Switch sampling off afterwards");
  parser.add_flag("--no-stop", wishes.no_stop,
                  "Do not stop PID for --kind fragmentation, which is less exact then");
  add_top_option(parser, wishes.top, "Stacks to show, 20 by default");
  parser.add_option("-o,--output", wishes.output, "Write a profile for pprof to FILE")
      ->type_name("FILE");
  parser.add_option("--push", wishes.push.target, "Send the profile to a server")->type_name("URL");
  parser
      .add_option("--every", wishes.every,
                  "Push, or write a file, again and again, until PID ends or Ctrl-C")
      ->type_name("DURATION");
  parser.add_option("--name", wishes.push.name, "What --push calls the program")->type_name("NAME");
  parser
      .add_option("--label", wishes.push.labels,
                  "A label of what is pushed, beside hostname and pid")
      ->type_name("KEY=VALUE")
      ->take_all();
  parser
      .add_option("--token-file", wishes.push.token_file, "The token for --push is its first line")
      ->type_name("FILE");
  parser
      .add_option("--sysroot", wishes.sysroot,
                  "The folder that the files are under which FILE or CORE names")
      ->type_name("DIR");
  parser.add_flag("--folded", wishes.folded, "Print a line per stack, for flame graphs");
  parser.add_flag("--json", wishes.as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  const Kind kind = kind_of(wishes.kind);
  if (wishes.folded && wishes.as_json) refuse_wish("--folded and --json exclude each other");

  check_push(wishes);

  const bool is_file = wishes.target.find_first_not_of("0123456789") != std::string::npos;
  if (is_file) check_file(wishes, kind);
  if (!wishes.output.empty()) host::require_writable(wishes.output);
  if (!wishes.every.empty()) {
    wishes.output.empty() ? push_every(wishes, kind) : write_every(wishes, kind);
    return host::kExitOk;
  }
  std::optional<ProfilePusher> pusher;
  if (!wishes.push.target.empty()) {
    pusher.emplace(wishes.push, kind, is_file ? 0 : parse_process_number("profile", wishes.target));
  }
  const Profile profile = is_file ? load_profile_or_core(wishes.target, kind, wishes.sysroot)
                                  : profile_of_process(wishes, kind);
  if (pusher) {
    pusher->push(profile);
    say_pushed(*pusher);
    if (wishes.output.empty() && !wishes.as_json && !wishes.folded) return host::kExitOk;
  }
  profile::Names names(profile);
  if (!wishes.output.empty()) {
    host::OutputFile file(wishes.output);
    file.write(profile::pprof_of(profile, names, kind));
    file.close();
  }
  if (wishes.as_json) {
    print(profile_json(profile, names, kind, wishes.top));
  } else if (wishes.folded) {
    print(profile::folded_of(profile, names, kind));
    fmt::print(stderr, "{}", note_on_calls(profile, kind));
  } else {
    print(profile_text(profile, names, kind, wishes.top));
  }
  return host::kExitOk;
}

}  // namespace

const Command kProfileCommand = {"profile", "Show where live memory was allocated, by sampling",
                                 run};

}  // namespace tide::cli
