#include "cli/replay_ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>

#include "cli/heap_json.h"
#include "host/error.h"
#include "host/file_descriptor.h"

namespace tide::cli {

using Json = nlohmann::ordered_json;

namespace {

constexpr int kFormat = 1;

// The date without its marks, and some digits that tell apart what begins in the same second.
std::string run_name(std::string date) {
  std::erase_if(date, [](char c) { return c == '-' || c == ':'; });
  return fmt::format("{}-{:04x}", date, std::random_device{}() & 0xffff);
}

Json run_line(const ReplayReport& report, const std::string& name) {
  const Machine machine = this_machine();
  Json peers = Json::array();
  for (const replay::AllocatorResult& run : report.result.runs) {
    Json variables = Json::object();
    for (const auto& [variable, value] : run.allocator.variables) variables[variable] = value;
    // Without folders, so that the records of two machines compare.
    peers.push_back({{"name", run.allocator.label},
                     {"library", std::filesystem::path(run.allocator.library).filename().string()},
                     {"preloaded", !run.allocator.library.empty()},
                     {"env", std::move(variables)}});
  }
  return {{"kind", "run"},
          {"format", kFormat},
          {"run", name},
          {"date", report.date},
          {"command", report.command},
          {"version", TIDE_VERSION},
          {"cpu", machine.cpu},
          {"cores", machine.cores},
          {"memory_mib", machine.memory_bytes >> 20},
          {"kernel", machine.kernel},
          {"peers", std::move(peers)}};
}

Json sample_line(const ReplayReport& report, const std::string& name,
                 const replay::AllocatorResult& run, size_t round) {
  Json line = {{"kind", "sample"},
               {"run", name},
               {"workload", std::filesystem::path(report.workload.path()).stem().string()},
               {"peer", run.allocator.label},
               {"round", round},
               {"status", run.status}};
  for (size_t i = 0; i < replay::kFigureCount; ++i) {
    const auto& samples = run.figures[i].samples();
    if (round < samples.size()) line[std::string(replay::kFigureNames[i].key)] = samples[round];
  }
  return line;
}

}  // namespace

void append_to_ledger(const std::string& path, const ReplayReport& report) {
  const std::string name = run_name(report.date);
  std::string text = json_line(run_line(report, name));
  for (const replay::AllocatorResult& run : report.result.runs) {
    size_t rounds = 1;
    for (const replay::Figure& figure : run.figures) {
      rounds = std::max(rounds, figure.samples().size());
    }
    for (size_t i = 0; i < rounds; ++i) text += json_line(sample_line(report, name, run, i));
  }
  const host::FileDescriptor file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  // One write: what others append at the same time does not come in between.
  if (file.get() < 0 ||
      write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw host::Error(
        fmt::format("--ledger: '{}' can't be written: {}", path, std::strerror(errno)));
  }
}

}  // namespace tide::cli
