#include "walk/live_memory.h"

#include <fmt/format.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace tide::walk {

void LiveMemory::read(const std::vector<Piece>& pieces) const {
  constexpr size_t kMost = IOV_MAX;
  iovec here[kMost];
  iovec there[kMost];
  for (size_t begin = 0; begin < pieces.size(); begin += kMost) {
    const size_t count = std::min(kMost, pieces.size() - begin);
    size_t wanted = 0;
    for (size_t i = 0; i < count; ++i) {
      const Piece& piece = pieces[begin + i];
      here[i] = {piece.to, piece.bytes};
      there[i] = {reinterpret_cast<void*>(piece.address), piece.bytes};
      wanted += piece.bytes;
    }
    const ssize_t got = process_vm_readv(pid_, here, count, there, count, 0);
    if (got == static_cast<ssize_t>(wanted)) continue;
    if (got < 0 && errno == EPERM) proc_.fail_not_permitted(pid_);
    if (got < 0 && errno == ESRCH) throw host::Error(fmt::format("process {} has ended", pid_));
    throw host::Error(fmt::format("the memory of process {} cannot be read: {}", pid_,
                                  got < 0 ? std::strerror(errno) : "it changed meanwhile"));
  }
}

}  // namespace tide::walk
