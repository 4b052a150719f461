#include "walk/live_memory.h"

#include <fmt/format.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace tide::walk {

// The kernel looks each range up by itself, which takes it longer than to copy what lies between
// two that are near each other. So such are one range there, and what is between them goes nowhere.
void LiveMemory::read(const std::vector<Piece>& pieces) const {
  constexpr size_t kMost = IOV_MAX;
  constexpr uint64_t kMostBetween = 2048;
  iovec here[kMost];
  iovec there[kMost];
  char nowhere[kMostBetween];
  for (size_t next = 0; next < pieces.size();) {
    size_t places = 0;
    size_t ranges = 0;
    size_t wanted = 0;
    uint64_t end = 0;
    for (; next < pieces.size() && places + 2 <= kMost; ++next) {
      const Piece& piece = pieces[next];
      const uint64_t between = piece.address - end;
      // No page but those that are read anyway, so nothing can be missing that would be there.
      const bool is_near = ranges != 0 && piece.address >= end && between <= kMostBetween;
      if (is_near) {
        if (between != 0) here[places++] = {nowhere, between};
        there[ranges - 1].iov_len += between + piece.bytes;
        wanted += between;
      } else {
        there[ranges++] = {reinterpret_cast<void*>(piece.address), piece.bytes};
      }
      here[places++] = {piece.to, piece.bytes};
      wanted += piece.bytes;
      end = piece.address + piece.bytes;
    }
    const ssize_t got = process_vm_readv(pid_, here, places, there, ranges, 0);
    if (got == static_cast<ssize_t>(wanted)) continue;
    if (got < 0 && errno == EPERM) proc_.fail_not_permitted(pid_);
    if (got < 0 && errno == ESRCH) throw host::Error(fmt::format("process {} has ended", pid_));
    throw host::Error(fmt::format("the memory of process {} cannot be read: {}", pid_,
                                  got < 0 ? std::strerror(errno) : "it changed meanwhile"));
  }
}

}  // namespace tide::walk
