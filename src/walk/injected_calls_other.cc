// Machines that nobody has done this for.
#include <cerrno>

#include "host/error.h"
#include "walk/injected_calls.h"

namespace tide::walk {

InjectedCalls::InjectedCalls(const LiveTarget& target, uint64_t room)
    : target_(target), room_(room) {
  throw host::Error("a process that runs already can be recorded on x86-64 only");
}

InjectedCalls::~InjectedCalls() = default;

int64_t InjectedCalls::call(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t) {
  return -ENOSYS;
}

}  // namespace tide::walk
