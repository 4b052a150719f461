#include "trace/traced_process.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <csignal>
#include <nlohmann/json.hpp>

#include "host/proc.h"

namespace tide::trace {
namespace {

using format::Call;

std::vector<std::string> split_at_zeros(const std::string& text) {
  std::vector<std::string> result;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\0', at), text.size());
    result.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return result;
}

// Without what the system adds once the file is removed.
std::string_view last_part(std::string_view path) {
  constexpr std::string_view kRemoved = " (deleted)";
  if (path.ends_with(kRemoved)) path.remove_suffix(kRemoved.size());
  return path.substr(path.rfind('/') + 1);
}

// The last part of a path, as a name for a folder.
std::string folder_name(const std::string& path) {
  constexpr size_t kLongest = 40;
  std::string name = path.substr(path.rfind('/') + 1).substr(0, kLongest);
  std::replace_if(
      name.begin(), name.end(),
      [](unsigned char c) {
        return !std::isalnum(c) && c != '-' && c != '_' && c != '+' && c != '.';
      },
      '_');
  return name.empty() ? "unknown" : name;
}

// Text in JSON has to be UTF-8; names of files need not.
std::string json_text(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c >= 0x80; }, '?');
  return text;
}

}  // namespace

TracedProcess::TracedProcess(uint32_t slot_index, const format::ProcessSlot& slot, int32_t pid)
    : slot_index_(slot_index),
      number_(slot.number),
      pid_(pid),
      number_inside_(slot.pid),
      pid_namespace_(slot.pid_namespace),
      parent_(slot.parent),
      first_tick_(slot.first_tick),
      process_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {
  const host::Proc proc;
  executable_ = proc.link_target(pid_, "exe");
  command_line_ = split_at_zeros(proc.try_read(pid_, "cmdline").value_or(""));
}

bool TracedProcess::is_gone() const {
  if (process_.get() < 0) return pid_ == 0 || (kill(pid_, 0) != 0 && errno == ESRCH);
  pollfd poller{process_.get(), POLLIN, 0};
  return poll(&poller, 1, 0) == 1;
}

std::vector<std::string> TracedProcess::module_files() const {
  const host::Proc proc;
  std::vector<host::Mapping> maps;
  if (!is_gone()) maps = host::parse_maps(proc.try_read(pid_, "maps").value_or(""));
  // Files of a process that goes on are those that it has mapped, whatever their paths lead to.
  if (files_ == nullptr) files_ = std::make_unique<host::MappedFiles>(proc, pid_);
  std::vector<std::string> paths;
  for (const Module& module : modules_) {
    const auto mapping = std::find_if(maps.begin(), maps.end(), [&](const host::Mapping& m) {
      return m.start == module.address && last_part(m.name) == last_part(module.path);
    });
    if (mapping != maps.end()) {
      paths.push_back(files_->path_of(*mapping));
    } else {
      paths.push_back(root_ == nullptr ? module.path : root_->path() + module.path);
    }
  }
  return paths;
}

void TracedProcess::set_executable(const std::string& path) {
  if (path.empty() || path == executable_) return;
  // It has executed another program meanwhile, whose command line that is.
  if (!executable_.empty()) command_line_.clear();
  executable_ = path;
}

std::string TracedProcess::unrecorded_program() const {
  // Who goes on afterwards has not executed it; who is recorded again has ended here.
  return end_ == End::kGone && last_tick_ <= executed_tick_ ? executed_ : std::string();
}

void TracedProcess::watch(const format::Record& record) {
  last_tick_ = std::max(last_tick_, record.tick);
  const auto is_note = [&](format::Note note) {
    return record.extras[0] == static_cast<uint64_t>(note);
  };
  if (record.call == Call::kStack) {
    std::string_view rest = record.frames;
    uint64_t frame = 0;
    while (format::next_frame(rest, &frame)) addresses_.insert(frame);
  } else if (record.call == Call::kNote && is_note(format::Note::kModule)) {
    const size_t space = std::min(record.text.find(' '), record.text.size());
    Module module{
        record.extras[1], record.extras[2], std::string(record.text.substr(0, space)), {}};
    if (space < record.text.size()) module.path = record.text.substr(space + 1);
    modules_.push_back(std::move(module));
  } else if (record.call == Call::kNote && is_note(format::Note::kAllocator)) {
    allocator_ = record.text;
  } else if (record.call == Call::kProcess) {
    watch_process(record);
  }
}

void TracedProcess::watch_process(const format::Record& record) {
  switch (static_cast<format::ProcessNote>(record.extras[0])) {
    case format::ProcessNote::kStart:
      return set_executable(std::string(record.text));
    case format::ProcessNote::kExit:
      has_status_ = true;
      status_ = static_cast<int>(record.extras[1]);
      return;
    case format::ProcessNote::kExec:
      executed_ = record.text;
      executed_tick_ = record.tick;
      return;
    case format::ProcessNote::kSpawn:
      // The shells of system() and popen() have no number.
      if (record.extras[1] != 0) spawned_.emplace_back(record.extras[1], record.text);
      return;
    default:
      return;
  }
}

void TracedProcess::count(uint64_t events, uint64_t record_bytes, uint64_t stored_bytes) {
  events_ += events;
  record_bytes_ += record_bytes;
  stored_bytes_ += stored_bytes;
}

void TracedProcess::set_status(int wait_status) {
  has_status_ = WIFEXITED(wait_status);
  if (has_status_) status_ = WEXITSTATUS(wait_status);
  if (WIFSIGNALED(wait_status)) signal_ = WTERMSIG(wait_status);
}

const std::string& TracedProcess::folder() {
  if (!folder_.empty()) return folder_;
  // As people called it: an executable may go by several names.
  const bool is_called = !command_line_.empty() && !command_line_[0].empty();
  folder_ = fmt::format("{}-{}", number_, folder_name(is_called ? command_line_[0] : executable_));
  return folder_;
}

nlohmann::ordered_json TracedProcess::describe(uint64_t lost) const {
  constexpr const char* kEnds[] = {"running", "ended", "executed", "left running"};
  nlohmann::ordered_json result = {{"number", number_},
                                   {"process_id", shown_pid()},
                                   {"parent_id", parent_},
                                   {"executable", json_text(executable_)}};
  if (number_inside_ != pid_) result["process_id_inside"] = number_inside_;
  for (const std::string& argument : command_line_) {
    result["command_line"].push_back(json_text(argument));
  }
  result["first_tick"] = first_tick_;
  result["end"] = kEnds[static_cast<size_t>(end_)];
  if (has_status_) result["exit_status"] = status_;
  if (signal_ != 0) result["signal"] = signal_;
  result["allocator"] = json_text(allocator_);
  result["threads"] = threads_.size();
  result["events"] = events_;
  result["record_bytes"] = record_bytes_;
  result["stored_bytes"] = stored_bytes_;
  result["lost"] = lost;
  return result;
}

}  // namespace tide::trace
