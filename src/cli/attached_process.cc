#include "cli/attached_process.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <thread>

#include "host/error.h"
#include "host/proc.h"
#include "host/process_maps.h"
#include "walk/injected_calls.h"
#include "walk/open_target.h"
#include "walk/redirection.h"

namespace tide::cli {
namespace {

using walk::LiveTarget;
using walk::Redirection;
using Report = std::function<void(const std::string&)>;

// For threads that are in a call when the recording ends.
constexpr std::chrono::seconds kPatience{3};
constexpr std::chrono::milliseconds kBetweenLooks{5};

// The fields of PID/stat behind the name, the state first.
std::vector<std::string> stat_fields(const host::Proc& proc, int pid) {
  const std::string text = proc.try_read(pid, "stat").value_or("");
  std::vector<std::string> fields;
  const size_t name_end = text.rfind(") ");
  if (name_end == std::string::npos) return fields;
  for (size_t at = name_end + 2; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    fields.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return fields;
}

bool has_ended(const host::Proc& proc, int pid) {
  const std::vector<std::string> fields = stat_fields(proc, pid);
  return fields.empty() || fields[0] == "Z" || fields[0] == "X";
}

void require_traceable(const host::Proc& proc, int pid) {
  proc.require(pid);
  if (has_ended(proc, pid)) {
    throw host::Error(fmt::format("process {} has ended; only its parent has not noticed", pid));
  }
  const std::string status = proc.read(pid, "status");
  if (const uint64_t tracer = host::field_value(status, "TracerPid").value_or(0); tracer != 0) {
    throw host::Error(
        fmt::format("process {} is traced by process {} already (a debugger, strace); "
                    "end that first",
                    pid, tracer));
  }
  unsigned char head[EI_NIDENT] = {};
  std::ifstream(proc.path(pid, "exe"), std::ios::binary)
      .read(reinterpret_cast<char*>(head), sizeof head);
  if (std::memcmp(head, ELFMAG, SELFMAG) == 0 && head[EI_CLASS] != ELFCLASS64) {
    throw host::Error(fmt::format("process {} is a 32-bit program; Tide is for 64 bits", pid));
  }
}

std::vector<std::string> command_line(const host::Proc& proc, int pid) {
  const std::string text = proc.try_read(pid, "cmdline").value_or("");
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\0', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  if (words.empty()) words.push_back(proc.command(pid));
  return words;
}

// The inode of the memory that lies at `address` in the process; 0: none does.
uint64_t inode_at(const host::Proc& proc, int pid, uint64_t address) {
  for (const host::Mapping& mapping : host::parse_maps(proc.try_read(pid, "maps").value_or(""))) {
    if (mapping.contains(address)) return mapping.inode;
  }
  return 0;
}

// The processes that have the memory: the recorded one, and its children have what it had.
std::vector<int> sharers(const host::Proc& proc, uint64_t inode) {
  constexpr std::string_view kName = "/memfd:tide-trace";
  std::vector<int> result;
  for (const int pid : proc.processes()) {
    if (pid == getpid()) continue;
    const std::string maps = proc.try_read(pid, "maps").value_or("");
    if (maps.find(kName) == std::string::npos) continue;
    for (const host::Mapping& mapping : host::parse_maps(maps)) {
      if (mapping.inode != inode || !mapping.name.starts_with(kName)) continue;
      result.push_back(pid);
      break;
    }
  }
  return result;
}

// One look at the process. True: nothing of the recording is left in it.
bool try_detach(int pid) {
  const LiveTarget target(pid, true);
  Redirection redirection(target);
  if (redirection.attachment().number == 0) return true;
  redirection.restore();
  if (redirection.is_anyone_inside()) return false;
  redirection.end();
  return true;
}

bool detach_one(int pid, const Report& report) {
  const host::Proc proc;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  try {
    while (!try_detach(pid)) {
      if (std::chrono::steady_clock::now() > deadline) {
        report(
            fmt::format("process {}: a thread is still in a call that was recorded; its memory "
                        "for records stays until 'tide trace --pid {} --repair'",
                        pid, pid));
        return false;
      }
      std::this_thread::sleep_for(kBetweenLooks);
    }
  } catch (const host::Error& error) {
    if (has_ended(proc, pid)) return true;
    report(error.what());
    return false;
  }
  return true;
}

// All that have the memory, and what those make meanwhile. One that runs another program now has
// not.
size_t detach_all(uint64_t inode, const Report& report) {
  const host::Proc proc;
  std::vector<int> done;
  size_t count = 0;
  for (bool is_any = true; is_any;) {
    is_any = false;
    for (const int pid : sharers(proc, inode)) {
      if (std::find(done.begin(), done.end(), pid) != done.end()) continue;
      done.push_back(pid);
      is_any = true;
      if (detach_one(pid, report)) ++count;
    }
  }
  return count;
}

void require_unrecorded(const LiveTarget& target, const Redirection& redirection) {
  const layout::Attachment& attachment = redirection.attachment();
  if (attachment.number == 0) return;
  const auto collector = target.load<uint32_t>(reinterpret_cast<uint64_t>(attachment.arena) +
                                               offsetof(format::TraceArena, collector));
  if (collector && format::is_collected(*collector)) {
    throw host::Error(fmt::format("process {} is being recorded by process {} already",
                                  target.pid(), attachment.tool));
  }
}

}  // namespace

size_t repair_recorded(int pid, const Report& report) {
  const host::Proc proc;
  uint64_t inode = 0;
  {
    const LiveTarget target(pid, true);
    const Redirection redirection(target);
    require_unrecorded(target, redirection);
    if (redirection.attachment().number == 0) return 0;
    inode = inode_at(proc, pid, reinterpret_cast<uint64_t>(redirection.attachment().arena));
  }
  return detach_all(inode, report);
}

AttachedProcess::AttachedProcess(int pid) : pid_(pid) {
  const host::Proc proc;
  require_traceable(proc, pid);
  std::string complaint;
  repair_recorded(pid, [&](const std::string& line) { complaint = line; });
  if (!complaint.empty()) throw host::Error(complaint);
  command_ = command_line(proc, pid);
}

std::unique_ptr<trace::ArenaOwner> AttachedProcess::make_arena(
    const trace::ArenaSettings& settings) {
  const host::Proc proc;
  {
    const LiveTarget target(pid_, true);
    descriptor_ = Redirection(target).make_memory();
  }
  const std::string path = proc.path(pid_, fmt::format("fd/{}", descriptor_));
  host::FileDescriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (file.get() < 0) {
    throw host::Error(fmt::format("cannot open '{}': {}", path, std::strerror(errno)));
  }
  try {
    auto arena = std::make_unique<trace::ArenaOwner>(settings, std::move(file));
    inode_ = arena->inode();
    return arena;
  } catch (const host::Error&) {
    const LiveTarget target(pid_, true);
    Redirection(target).close_memory(descriptor_);
    throw;
  }
}

std::vector<trace::KnownBlock> AttachedProcess::attach(trace::ArenaOwner& arena,
                                                       bool lists_blocks) {
  const host::Proc proc;
  std::vector<trace::KnownBlock> blocks;
  const LiveTarget target(pid_, true);
  Redirection redirection(target);
  layout::Attachment attachment{};
  attachment.arena_bytes = arena.arena().bytes;
  attachment.arena =
      reinterpret_cast<void*>(redirection.map_memory(descriptor_, attachment.arena_bytes));
  attachment.process = proc.number_inside(pid_);
  const std::vector<std::string> fields = stat_fields(proc, pid_);
  attachment.slot = arena.give_slot(pid_, fields.size() > 1 ? std::stoi(fields[1]) : 0);
  attachment.tool = getpid();
  const walk::Segment* const library = target.segment_of(redirection.entry());
  const std::string path = library != nullptr ? library->file : "";
  std::memcpy(attachment.allocator, path.data(),
              std::min(path.size(), sizeof attachment.allocator - 1));
  if (lists_blocks) {
    for (const auto& heap : walk::find_heaps(target)) {
      heap->for_each_block([&](std::span<const walk::Block> some) {
        for (const walk::Block& block : some) blocks.push_back({block.address, block.bytes});
        return true;
      });
    }
  }
  redirection.begin(attachment);
  number_ = redirection.attachment().number;
  number_at_ = redirection.number_at();
  return blocks;
}

bool AttachedProcess::runs_another(int process) const {
  uint64_t number = 0;
  const iovec here{&number, sizeof number};
  const iovec there{reinterpret_cast<void*>(number_at_), sizeof number};
  if (process_vm_readv(process, &here, 1, &there, 1, 0) == ssize_t{sizeof number}) {
    return number != number_;
  }
  return errno == EFAULT;
}

void AttachedProcess::detach(const Report& report) { detach_all(inode_, report); }

}  // namespace tide::cli
