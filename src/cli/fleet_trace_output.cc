#include "cli/fleet_trace_output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cli/fleet_import.h"
#include "cli/fleet_trace_follower.h"
#include "host/error.h"
#include "host/number_text.h"

namespace tide::cli {

bool is_fleet_address(const std::string& to) {
  return to.starts_with("clickhouse://") || to.starts_with("clickhouse+https://") ||
         to.starts_with("sqlite://");
}

int record_into_fleet(const TraceOptions& options, const std::vector<std::string>& program) {
  // A wrong address or a database of another version is said before the program runs.
  const fleet::DatabaseAddress address =
      fleet::parse_database(options.to, options.password_file, options.is_plain_allowed);
  const std::unique_ptr<fleet::Store> store = fleet::open_store(address, false);
  store->prepare();
  TraceOptions recording = options;
  recording.to.clear();
  if (recording.folder.empty()) {
    const std::string name = program.empty()
                                 ? std::to_string(options.process.value_or(0))
                                 : std::filesystem::path(program.front()).filename().string();
    recording.folder = fmt::format("tide-trace-{}-{}", name, getpid());
  }
  int status = host::kExitOk;
  {
    const TraceFollower follower(address, recording.folder);
    status = options.process ? record_process(recording) : record_program(recording, program);
  }
  if (!std::filesystem::is_directory(recording.folder)) return status;
  try {
    const SentTrace sent = send_trace(*store, recording.folder, host_name(), false);
    if (!options.is_quiet) {
      fmt::print(stderr, "tide trace: {} events are in {} as trace {}\n",
                 host::grouped(static_cast<uint64_t>(sent.events)), address.text(), sent.trace);
    }
  } catch (const host::Error& error) {
    fmt::print(stderr,
               "tide trace: {}; the trace is in '{}', send it with: tide fleet import {} --db {}\n",
               error.what(), recording.folder, recording.folder, address.text());
    return status == host::kExitOk ? host::kExitFailed : status;
  }
  std::error_code ignored;
  std::filesystem::remove_all(recording.folder, ignored);
  return status;
}

}  // namespace tide::cli
