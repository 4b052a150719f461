#include "cli/agent_processes.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

#include "host/control_groups.h"
#include "host/error.h"
#include "host/terminal.h"
#include "layout/profile_table.h"
#include "walk/tide_root.h"

namespace tide::cli {

// What says whether a process is still the one that it was.
struct ProcessImage {
  uint64_t start = 0;      // ticks since boot
  uint64_t stack_top = 0;  // another one after exec
  uint64_t rss_bytes = 0;
  std::string command;
  bool is_same(const ProcessImage& other) const {
    return start == other.start && stack_top == other.stack_top;
  }
};

namespace {

// The loader may take as long to map the library.
constexpr double kSettledSeconds = 20;

constexpr size_t kVersionDigits = 12;  // of a build-id

// Of the text of /proc/PID/stat; see proc(5).
std::optional<ProcessImage> parse_stat(std::string_view text) {
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return {};
  ProcessImage image;
  image.command = host::printable(std::string(text.substr(open + 1, close - open - 1)));
  text.remove_prefix(close + 1);
  constexpr int kStart = 22;
  constexpr int kRss = 24;
  constexpr int kStackTop = 28;
  uint64_t fields[kStackTop + 1] = {};
  int number = 3;
  for (size_t at = 0; at < text.size() && number <= kStackTop;) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    const size_t end = std::min(text.find(' ', at), text.size());
    std::from_chars(text.data() + at, text.data() + end, fields[number++]);
    at = end;
  }
  if (number <= kStackTop) return {};
  image.start = fields[kStart];
  image.stack_top = fields[kStackTop];
  image.rss_bytes = fields[kRss] * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return image;
}

double seconds_since_boot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string variable(std::string_view environment, std::string_view name) {
  const std::string start = std::string(name) + "=";
  while (!environment.empty()) {
    const size_t end = std::min(environment.find('\0'), environment.size());
    if (environment.starts_with(start)) {
      return host::printable(std::string(environment.substr(start.size(), end - start.size())));
    }
    environment.remove_prefix(std::min(end + 1, environment.size()));
  }
  return {};
}

std::string boot_id() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(in, id);
  return id;
}

// What of a process does not change.
void describe_labels(const host::Proc& proc, const std::string& host, const ProcessImage& image,
                     host::SymbolCache& cache, AgentProcess& process) {
  const std::string environment = proc.try_read(process.pid, "environ").value_or("");
  FleetLabels& labels = process.labels;
  process.program = proc.link_target(process.pid, "exe");
  labels.host = host;
  labels.command = image.command;
  const host::GroupPlace place =
      host::group_place(proc.try_read(process.pid, "cgroup").value_or(""));
  labels.container = host::printable(place.container);
  process.group = host::printable(place.path);
  process.pid_inside = proc.number_inside(process.pid);
  labels.service = variable(environment, "TIDE_FLEET_SERVICE");
  if (labels.service.empty()) labels.service = host::printable(place.unit);
  if (labels.service.empty()) labels.service = image.command;
  labels.version = variable(environment, "TIDE_FLEET_VERSION");
  if (labels.version.empty()) {
    labels.version = cache.build_id(proc.path(process.pid, "exe")).substr(0, kVersionDigits);
  }
  labels.process = fleet::number_of(fmt::format("{}\n{}\n{}\n{}\n{}", host, boot_id(), process.pid,
                                                image.start, image.stack_top));
}

void read_figures(const walk::LiveHeap& heap, AgentProcess& process) {
  process.figures = heap.reader().figures();
  process.is_sampled = false;
  if (const uint64_t address = heap.reader().profile_address(); address != 0) {
    const auto table = walk::load_from<layout::ProfileTable>(heap.memory(), address);
    process.is_sampled = table.is_on != 0 || table.stack_count != 0;
  }
}

}  // namespace

struct AgentProcesses::Known {
  ProcessImage image;
  double since = 0;  // seconds since boot: when it began, or executed its program
  bool is_settled = false;
  bool is_denied = false;
  std::unique_ptr<walk::LiveHeap> heap;  // null: not on Tide
  AgentProcess process;
};

AgentProcesses::AgentProcesses(const host::Proc& proc, std::string host)
    : proc_(proc), host_(std::move(host)) {}
AgentProcesses::~AgentProcesses() = default;

const std::vector<const AgentProcess*>& AgentProcesses::look() {
  found_.clear();
  denied_ = 0;
  std::map<int, Known> before;
  before.swap(known_);
  const double now = seconds_since_boot();
  static const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  for (const int pid : proc_.processes()) {
    const std::optional<ProcessImage> image = parse_stat(proc_.try_read(pid, "stat").value_or(""));
    if (!image) continue;
    const auto old = before.find(pid);
    const bool is_known = old != before.end() && old->second.image.is_same(*image);
    Known known;
    if (is_known) {
      known = std::move(old->second);
      known.image = *image;
      known.process.is_new = false;
    } else {
      known.image = *image;
      // One that executes another program is as young as a new one.
      known.since = old != before.end() && old->second.image.start == image->start
                        ? now
                        : static_cast<double>(image->start) / ticks;
      known.process.pid = pid;
    }
    bool is_found = false;
    try {
      if (known.heap == nullptr && !known.is_settled) {
        known.is_settled = now - known.since > kSettledSeconds;
        known.heap = walk::LiveHeap::open(pid);
        if (known.heap != nullptr) {
          known.process.is_new = true;
          known.process.library_version = known.heap->reader().library_version();
          host::SymbolCache cache;  // for one file: the agent itself stays small
          describe_labels(proc_, host_, known.image, cache, known.process);
        }
      }
      if (known.heap != nullptr) {
        read_figures(*known.heap, known.process);
        known.process.rss_bytes = image->rss_bytes;
        is_found = true;
      }
    } catch (const host::NotPermitted&) {
      known.is_denied = true;
      known.is_settled = true;
    } catch (const host::Error&) {
      // It has ended meanwhile, or its library is of a kind that is not known here.
      known.heap = nullptr;
    }
    if (known.is_denied) ++denied_;
    const auto kept = known_.emplace(pid, std::move(known)).first;
    if (is_found) found_.push_back(&kept->second.process);
  }
  return found_;
}

std::optional<AgentProcess> AgentProcesses::describe(const host::Proc& proc,
                                                     const std::string& host, int pid,
                                                     host::SymbolCache& cache) {
  const std::optional<ProcessImage> image = parse_stat(proc.try_read(pid, "stat").value_or(""));
  if (!image) return std::nullopt;
  AgentProcess process;
  process.pid = pid;
  process.rss_bytes = image->rss_bytes;
  describe_labels(proc, host, *image, cache, process);
  return process;
}

}  // namespace tide::cli
