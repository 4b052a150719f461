#include "cli/trace_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "format/trace_file.h"
#include "format/workload.h"
#include "host/error.h"
#include "profile/profile.h"
#include "report/pprof_file.h"
#include "trace/heritage.h"
#include "trace/imported.h"

namespace tide::cli {

namespace fs = std::filesystem;

InputKind kind_of(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw host::Error(fmt::format("'{}' cannot be opened: {}", path, std::strerror(ENOENT)));
  }
  if (fs::is_directory(status)) {
    const bool is_trace = fs::exists(fs::path(path) / format::kTraceFile, error) ||
                          !trace::find_processes(path).empty();
    if (is_trace) return InputKind::kTrace;
    return trace::import_format(path).empty() ? InputKind::kUnknown : InputKind::kImport;
  }
  char first[8] = {};
  std::ifstream in(path, std::ios::binary);
  in.read(first, sizeof first);
  if (!in && !in.eof()) throw host::Error(fmt::format("'{}' cannot be read", path));
  if (in.gcount() == 0) throw host::Error(fmt::format("'{}' is empty", path));
  const auto begins_with = [&](const char* magic, size_t bytes) {
    return memcmp(first, magic, bytes) == 0;
  };
  if (begins_with(format::kTraceMagic, 7)) return InputKind::kTrace;
  if (begins_with(format::kWorkloadMagic, 7)) return InputKind::kWorkload;
  if (fs::path(path).filename() == format::kEventsFile) return InputKind::kTrace;
  if (begins_with("\x7f"
                  "ELF",
                  4)) {
    return InputKind::kCore;
  }
  return trace::import_format(path).empty() ? InputKind::kUnknown : InputKind::kImport;
}

namespace {

// What is one has a verb of its own.
void refuse_profile(const std::string& path) {
  if (fs::is_directory(path)) return;
  if (profile::is_profile_file(path)) {
    throw host::Error(fmt::format("'{}' is a profile; what is in it: tide profile {}", path, path));
  }
  if (report::is_profile(path)) {
    throw host::Error(
        fmt::format("'{}' is a profile of pprof; a page of it: tide report {}", path, path));
  }
}

}  // namespace

TraceInput::TraceInput(const std::string& path, const Options& options)
    : path_(path), options_(options) {
  const InputKind kind = kind_of(path);
  if (options_.format.empty() && kind == InputKind::kImport) {
    import_format_ = trace::import_format(path);
  } else if (options_.format != "trace") {
    import_format_ = options_.format;
  }
  if (!import_format_.empty()) return;
  if (kind != InputKind::kTrace) {
    refuse_profile(path);
    throw host::Error(fmt::format(
        "'{}' is no trace, nor of a format that tide imports; see: tide convert --help", path));
  }
  processes_ = trace::find_processes(path);
  if (processes_.empty()) {
    throw host::Error(fmt::format("the trace '{}' has no process: nothing was recorded", path));
  }
  const auto choose = [&](auto is_chosen) {
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (is_chosen(processes_[i].identity)) chosen_.push_back(i);
    }
  };
  using trace::ProcessIdentity;
  if (!options_.process) {
    choose([](const ProcessIdentity&) { return true; });
    return;
  }
  const uint32_t wanted = *options_.process;
  choose([&](const ProcessIdentity& process) { return process.number == wanted; });
  if (chosen_.empty()) {
    choose([&](const ProcessIdentity& process) { return process.pid == wanted; });
  }
  if (chosen_.empty()) {
    throw host::Error(fmt::format("'{}' has no process {}; without --process: all of its {}", path,
                                  wanted, processes_.size()));
  }
}

std::unique_ptr<trace::EventSource> TraceInput::open(size_t index) const {
  std::unique_ptr<trace::EventSource> source;
  if (import_format_.empty()) {
    source = trace::open_process(
        processes_, chosen_[index],
        options_.salvage ? trace::EventsFile::Mode::kSalvage : trace::EventsFile::Mode::kStrict);
  } else {
    source = trace::import_file(path_, import_format_);
  }
  if (options_.slice) {
    source = std::make_unique<trace::Slice>(std::move(source), *options_.slice);
  }
  return source;
}

}  // namespace tide::cli
