#include "trace/trace_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "host/error.h"

namespace tide::trace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

// What process.json says; a process that was killed together with its collector has none.
void read_identity(const fs::path& folder, ProcessIdentity& identity) {
  const fs::path path = folder / format::kProcessFile;
  std::ifstream in(path);
  if (!in) return;
  const Json json = Json::parse(in, nullptr, false);
  if (!json.is_object()) {
    throw host::Error(fmt::format("'{}' is no JSON object", path.string()));
  }
  try {
    identity.number = json.value("number", identity.number);
    identity.pid = json.value("process_id", identity.pid);
    identity.parent = json.value("parent_id", identity.parent);
    identity.program = json.value("executable", identity.program);
    identity.ended = json.value("end", identity.ended);
    if (json.contains("signal")) {
      identity.ended = fmt::format("killed by signal {}", json["signal"].get<int>());
    } else if (json.contains("exit_status")) {
      identity.ended = fmt::format("exit status {}", json["exit_status"].get<int>());
    }
    identity.lost_events = json.value("lost", identity.lost_events);
  } catch (const Json::exception& error) {
    throw host::Error(fmt::format("'{}' is not as it should be: {}", path.string(), error.what()));
  }
}

TraceProcess process_in(const fs::path& folder) {
  TraceProcess process{(folder / format::kEventsFile).string(), {}};
  // "3-redis-server": good names where process.json is missing.
  const std::string name = folder.filename().string();
  const size_t dash = name.find('-');
  if (dash != std::string::npos && dash > 0 && dash < 10 &&
      std::all_of(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(dash),
                  [](char c) { return c >= '0' && c <= '9'; })) {
    process.identity.number = static_cast<uint32_t>(std::stoul(name.substr(0, dash)));
    process.identity.program = name.substr(dash + 1);
  }
  read_identity(folder, process.identity);
  return process;
}

}  // namespace

std::vector<TraceProcess> find_processes(const std::string& path) {
  std::vector<TraceProcess> found;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    const fs::path file(path);
    if (file.filename() == format::kEventsFile) {
      const fs::path folder = fs::absolute(file, error).parent_path();
      found.push_back(process_in(folder));
      found.back().events_path = path;
    } else {
      found.push_back({path, {}});
    }
    return found;
  }
  const fs::path folder =
      fs::absolute(fs::path(path) / ".", error).lexically_normal().parent_path();
  if (fs::exists(folder / format::kEventsFile, error)) return {process_in(folder)};
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (fs::exists(entry.path() / format::kEventsFile, error)) {
      found.push_back(process_in(entry.path()));
    }
  }
  std::sort(found.begin(), found.end(), [](const TraceProcess& a, const TraceProcess& b) {
    return a.identity.number < b.identity.number;
  });
  return found;
}

TraceReader::TraceReader(const TraceProcess& process, EventsFile::Mode mode)
    : file_(process.events_path, mode), scale_(file_), process_(process.identity) {
  const format::FileHead& head = file_.head();
  process_.number = head.number != 0 ? head.number : process_.number;
  if (process_.pid == 0) process_.pid = head.pid;
  process_.start_ns = head.first_ns;
  std::map<uint32_t, std::vector<const EventsFile::Chunk*>> threads;
  for (const EventsFile::Chunk& chunk : file_.chunks()) {
    threads[chunk.head.thread].push_back(&chunk);
    records_ += chunk.head.records;
    process_.lost_events = std::max(process_.lost_events, chunk.head.lost);
  }
  const bool salvage = mode == EventsFile::Mode::kSalvage;
  ReadAhead* const ahead =
      threads.size() <= kFewThreads ? &ahead_.emplace(ReadAhead::usual_threads()) : nullptr;
  for (auto& [number, chunks] : threads) {
    merge_.add(std::make_unique<ThreadEvents>(file_, std::move(chunks), scale_, stacks_,
                                              merge_.live(), ahead, salvage ? &damaged_ : nullptr));
  }
  const fs::path symbols = fs::path(process.events_path).replace_filename(format::kSymbolsFile);
  std::error_code error;
  if (fs::exists(symbols, error)) symbols_.load(symbols.string());
}

const Event* TraceReader::next() {
  const Event* const event = merge_.next();
  if (event == nullptr) return nullptr;
  ++events_;
  if (event->call == Call::kNote &&
      event->extras[0] == static_cast<uint64_t>(format::Note::kModule)) {
    symbols_.add_module(event->extras[1], event->extras[2], event->text);
  }
  return event;
}

Oddities TraceReader::oddities() const {
  Oddities oddities = merge_.oddities();
  oddities.damaged_chunks = damaged_ + file_.faults().size();
  return oddities;
}

double TraceReader::progress() const {
  return records_ == 0 ? 1 : static_cast<double>(events_) / static_cast<double>(records_);
}

}  // namespace tide::trace
