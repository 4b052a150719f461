#include "walk/live_target.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "host/error.h"
#include "host/process_maps.h"
#include "walk/machine.h"

namespace tide::walk {

LiveTarget::LiveTarget(int pid, bool stop)
    : pid_(pid),
      memory_(proc_, pid),
      pagemap_(proc_, pid),
      files_(proc_, pid),
      numbers_(proc_, pid) {
  proc_.require(pid);
  if (stop) stopped_ = std::make_unique<StoppedThreads>(proc_, pid);
  read_segments();
  read_threads();
}

LiveTarget::~LiveTarget() = default;

std::string LiveTarget::name() const { return fmt::format("process {}", pid_); }

std::vector<Segment> segments_of(std::string_view maps) {
  std::vector<Segment> segments;
  for (const host::Mapping& mapping : host::parse_maps(maps)) {
    // The kernel's own pages can't be read by others.
    if (mapping.name == "[vvar]" || mapping.name == "[vsyscall]") continue;
    Segment segment;
    segment.start = mapping.start;
    segment.end = mapping.end;
    segment.is_readable = mapping.is_readable;
    segment.is_writable = mapping.is_writable;
    segment.is_executable = mapping.is_executable;
    segment.file = mapping.name;
    segment.offset = mapping.offset;
    segment.present = mapping.is_readable ? mapping.size() : 0;
    segments.push_back(std::move(segment));
  }
  return segments;
}

std::string path_of_mapped(const host::MappedFiles& files, const host::Proc& proc, int pid,
                           uint64_t address) {
  for (const host::Mapping& mapping : host::parse_maps(proc.try_read(pid, "maps").value_or(""))) {
    if (mapping.start == address) return files.path_of(mapping);
  }
  return {};
}

int ThreadNumbers::here(int number_inside) const {
  std::call_once(is_known_, [this] {
    if (proc_.number_inside(pid_) == pid_) return;
    for (const int thread : proc_.threads(pid_)) {
      here_[proc_.thread_number_inside(pid_, thread)] = thread;
    }
  });
  const auto found = here_.find(number_inside);
  return found == here_.end() ? number_inside : found->second;
}

std::string LiveTarget::path_of(const Segment& segment) const {
  return path_of_mapped(files_, proc_, pid_, segment.start);
}

void LiveTarget::read_segments() {
  segments_ = segments_of(proc_.read(pid_, "maps"));
  if (segments_.empty()) {
    throw host::Error(
        fmt::format("process {} has no memory: it has ended or is the kernel's", pid_));
  }
}

void LiveTarget::read_threads() {
  const std::vector<int> ids = stopped_ != nullptr ? stopped_->ids() : proc_.threads(pid_);
  for (const int id : ids) {
    Thread thread;
    thread.id = id;
    const auto name = proc_.try_read(pid_, fmt::format("task/{}/comm", id));
    if (name.has_value()) thread.name = name->substr(0, name->find('\n'));
    if (stopped_ != nullptr) {
      std::array<uint64_t, 64> registers{};
      iovec place{registers.data(), sizeof registers};
      if (ptrace(PTRACE_GETREGSET, id, NT_PRSTATUS, &place) == 0) {
        thread.registers.assign(registers.begin(),
                                registers.begin() + static_cast<long>(place.iov_len / 8));
        name_registers(thread);
      }
    }
    threads_.push_back(std::move(thread));
  }
}

std::span<const std::byte> LiveTarget::view(uint64_t address, size_t bytes, Buffer& buffer) const {
  const Segment* const segment = segment_of(address);
  // What is not readable for the process is not for us.
  if (segment == nullptr || segment->present == 0) return {};
  const size_t wanted = std::min<uint64_t>(bytes, segment->end - address);
  if (buffer.size() < wanted) buffer.resize(wanted);
  const iovec here{buffer.data(), wanted};
  const iovec there{reinterpret_cast<void*>(address), wanted};
  const ssize_t got = process_vm_readv(pid_, &here, 1, &there, 1, 0);
  if (got < 0 && errno == EPERM) proc_.fail_not_permitted(pid_);
  if (got < 0 && errno == ESRCH) throw host::Error(fmt::format("process {} has ended", pid_));
  return got <= 0 ? std::span<const std::byte>{}
                  : std::span<const std::byte>(buffer.data(), static_cast<size_t>(got));
}

// Of a file there may be more than what this process has touched.
uint64_t LiveTarget::next_touched(uint64_t address, uint64_t end) const {
  const Segment* const segment = segment_of(address);
  if (segment == nullptr || segment->is_file()) return address;
  return pagemap_.first_touched(address, std::min(end, segment->end));
}

}  // namespace tide::walk
