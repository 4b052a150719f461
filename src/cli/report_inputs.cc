#include "cli/report_inputs.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "cli/text_charts.h"
#include "host/error.h"
#include "profile/export.h"
#include "report/allocator_colors.h"
#include "report/core_section.h"
#include "report/difference_section.h"
#include "report/origin_section.h"
#include "report/pprof_file.h"
#include "report/profile_course.h"
#include "report/profile_section.h"
#include "report/replay_section.h"
#include "report/trace_section.h"
#include "report/workload_section.h"
#include "walk/open_target.h"

namespace tide::cli {
namespace {

namespace fs = std::filesystem;

std::string base_name(const std::string& path) {
  fs::path name = fs::path(path).lexically_normal();
  if (name.filename().empty()) name = name.parent_path();
  return name.filename().string();
}

class Reader {
 public:
  Reader(const TraceInput::Options& options, host::Progress& progress)
      : options_(options), progress_(progress) {}

  void read(const std::string& path) {
    const std::string id = fmt::format("i{}-{}", ++inputs_, report::id_of(base_name(path)));
    names_.push_back(base_name(path));
    const bool is_folder = fs::is_directory(path);
    if (!is_folder && report::is_replay(path)) return read_replay(id, path);
    switch (kind_of(path)) {
      case InputKind::kTrace:
      case InputKind::kImport:
        return read_trace(id, path);
      case InputKind::kWorkload:
        return read_workload(id, path);
      case InputKind::kCore:
        return read_core(id, path);
      case InputKind::kUnknown:
        if (!is_folder && (profile::is_profile_file(path) || report::is_profile(path))) {
          return read_profile(id, path);
        }
        throw host::Error(fmt::format(
            "'{}' is no trace, replay, workload, profile or core; see: tide report --help", path));
    }
  }

  // Two inputs of one kind are compared; then the others' sections come behind.
  void compare() {
    if (inputs_ != 2) return;
    std::vector<report::Section> found;
    if (traces_.size() == 2) {
      found.push_back(report::trace_difference(names_[0], main_process(traces_[0]), names_[1],
                                               main_process(traces_[1])));
    } else if (profiles_.size() == 2) {
      found.push_back(report::profile_difference({names_[0], &profiles_[0].tree},
                                                 {names_[1], &profiles_[1].tree}));
    } else if (replays_.size() == 2) {
      found.push_back(report::replay_difference(names_[0], replays_[0], names_[1], replays_[1]));
    }
    if (found.empty()) return;
    // What changed is the answer; of each input only what it is.
    for (report::Section& section : sections_) {
      section.answer.resize(std::min<size_t>(section.answer.size(), 1));
    }
    sections_.insert(sections_.begin(), std::move(found.front()));
  }

  // Several profiles are a course over time, too; of many only the last has a section of its own.
  void join_profiles() {
    constexpr size_t kMostSections = 3;
    if (profiles_.size() < 2) return;
    std::vector<report::NamedProfile> named;
    for (size_t i = 0; i < profiles_.size(); ++i) {
      named.push_back({profile_names_[i], &profiles_[i]});
    }
    report::Section course = report::profile_course(std::move(named));
    if (course.title.empty()) return;
    if (profiles_.size() > kMostSections) {
      const auto last =
          std::max_element(profiles_.begin(), profiles_.end(), [](const auto& a, const auto& b) {
            return a.time_ns + a.duration_ns < b.time_ns + b.duration_ns;
          });
      const std::string kept = profile_ids_[static_cast<size_t>(last - profiles_.begin())];
      std::erase_if(sections_, [&](const report::Section& section) {
        return section.id != kept && std::find(profile_ids_.begin(), profile_ids_.end(),
                                               section.id) != profile_ids_.end();
      });
    }
    const auto first = std::find_if(sections_.begin(), sections_.end(),
                                    [&](const auto& section) { return section.kind == "Profile"; });
    sections_.insert(first, std::move(course));
  }

  std::vector<report::Section> take(const std::string& command) {
    join_profiles();
    compare();
    sections_.push_back(report::origin_section(origins_, command));
    return std::move(sections_);
  }

 private:
  // The one with the highest peak.
  static const report::TraceReading& main_process(
      const std::vector<report::TraceReading>& processes) {
    return *std::max_element(processes.begin(), processes.end(), [](const auto& a, const auto& b) {
      return a.summary.peak().bytes() < b.summary.peak().bytes();
    });
  }

  void note(const std::string& kind, const std::string& path, uint64_t start_ns = 0) {
    report::Origin origin = {kind, path, "", "", "", ""};
    if (start_ns != 0) {
      origin.date = fmt::format("{:%Y-%m-%d %H:%M:%S} UTC",
                                fmt::gmtime(static_cast<std::time_t>(start_ns / 1'000'000'000)));
    }
    origins_.push_back(std::move(origin));
  }

  void read_replay(const std::string& id, const std::string& path) {
    replays_.push_back(report::read_replay(path));
    sections_.push_back(report::replay_section(id, base_name(path), replays_.back(), colors_));
    origins_.push_back(report::origin_of(path, replays_.back()));
  }

  void read_workload(const std::string& id, const std::string& path) {
    const replay::WorkloadReader workload(path);
    progress_.begin_share("reading " + base_name(path));
    const report::WorkloadReading reading =
        report::read_workload(workload, [&](double share) { progress_.reach(share); });
    sections_.push_back(report::workload_section(id, base_name(path), workload, reading));
    note("workload", path);
  }

  void read_core(const std::string& id, const std::string& path) {
    progress_.begin("looking at blocks");
    const auto target = walk::open_target(path, {});
    const auto heaps = walk::find_heaps(*target);
    sections_.push_back(report::core_section(id, base_name(path), *target, heaps));
    note("core", path);
  }

  // Of the option profile_file.
  static report::Profile own_profile(const std::string& path) {
    const profile::Profile read = profile::load_profile(path);
    profile::Names names(read);
    return report::parse_profile(path, profile::whole_pprof_of(read, names));
  }

  void read_profile(const std::string& id, const std::string& path) {
    profiles_.push_back(profile::is_profile_file(path) ? own_profile(path)
                                                       : report::read_profile(path));
    sections_.push_back(report::profile_section(id, base_name(path), profiles_.back()));
    profile_ids_.push_back(id);
    profile_names_.push_back(base_name(path));
    note("profile", path, profiles_.back().time_ns);
  }

  void read_trace(const std::string& id, const std::string& path) {
    const TraceInput input(path, options_);
    std::vector<report::TraceReading> processes;
    for (size_t i = 0; i < input.processes(); ++i) {
      progress_.begin_share("reading " + base_name(path));
      const auto source = input.open(i);
      processes.push_back(
          report::read_trace(*source, [&](double share) { progress_.reach(share); }));
    }
    for (report::Section& section : report::trace_sections(id, base_name(path), processes)) {
      sections_.push_back(std::move(section));
    }
    note("trace", path, processes.front().process.start_ns);
    traces_.push_back(std::move(processes));
  }

  TraceInput::Options options_;
  host::Progress& progress_;
  size_t inputs_ = 0;
  report::AllocatorColors colors_;
  std::vector<report::Section> sections_;
  std::vector<report::Origin> origins_;
  // What is compared in the end.
  std::vector<std::string> names_;
  std::vector<std::vector<report::TraceReading>> traces_;
  std::vector<report::Profile> profiles_;
  std::vector<std::string> profile_ids_;
  std::vector<std::string> profile_names_;
  std::vector<report::ReplayFile> replays_;
};

}  // namespace

ReportContents read_report_inputs(const std::vector<std::string>& paths,
                                  const TraceInput::Options& options, const std::string& command,
                                  host::Progress& progress) {
  Reader reader(options, progress);
  ReportContents contents;
  for (const std::string& path : paths) {
    reader.read(path);
    contents.title += (contents.title.empty() ? "" : ", ") + base_name(path);
  }
  contents.sections = reader.take(command);
  contents.about =
      fmt::format("{} · tide {} · {:%Y-%m-%d %H:%M} UTC",
                  paths.size() == 1 ? paths[0] : fmt::format("{} inputs", paths.size()),
                  TIDE_VERSION, fmt::gmtime(std::time(nullptr)));
  return contents;
}

}  // namespace tide::cli
