#include "walk/injected_calls.h"

#include <fmt/format.h>
#include <sys/ptrace.h>

#include <cerrno>
#include <cstring>

#include "host/error.h"

namespace tide::walk {
namespace {

int any_thread(const LiveTarget& target) {
  if (target.threads().empty()) fail_ended(target);
  return target.threads().front().id;
}

void* as_pointer(uint64_t value) { return reinterpret_cast<void*>(value); }

}  // namespace

void fail_ended(const LiveTarget& target) {
  throw host::Error(fmt::format("process {} has ended", target.pid()));
}

uint64_t peek(const LiveTarget& target, uint64_t address) {
  errno = 0;
  const long word = ptrace(PTRACE_PEEKDATA, any_thread(target), as_pointer(address), nullptr);
  if (word == -1 && errno == ESRCH) fail_ended(target);
  if (word == -1 && errno != 0) {
    throw host::Error(fmt::format("the memory of process {} cannot be read at {:#x}: {}",
                                  target.pid(), address, std::strerror(errno)));
  }
  return static_cast<uint64_t>(word);
}

void poke(const LiveTarget& target, uint64_t address, uint64_t word) {
  if (ptrace(PTRACE_POKEDATA, any_thread(target), as_pointer(address), as_pointer(word)) == 0) {
    return;
  }
  if (errno == ESRCH) fail_ended(target);
  throw host::Error(fmt::format("the memory of process {} cannot be written at {:#x}: {}",
                                target.pid(), address, std::strerror(errno)));
}

}  // namespace tide::walk
