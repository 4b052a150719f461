#include "walk/live_heap.h"

#include <fmt/format.h>

#include "host/error.h"
#include "walk/root_notes.h"

namespace tide::walk {

// By notes alone, which costs a few small reads: a view of all processes asks each of them.
std::unique_ptr<LiveHeap> LiveHeap::open(int pid) {
  auto target = std::make_unique<LiveTarget>(pid, false);
  const std::vector<NotedRoot> roots = find_noted_roots(*target);
  if (roots.empty()) return nullptr;
  try {
    // There may be a second copy of the library that nobody uses.
    uint64_t root = roots.front().address;
    for (const NotedRoot& other : roots) {
      if (roots.size() == 1) break;
      if (!HeapReader(*target, other.address).is_started()) continue;
      root = other.address;
      break;
    }
    return std::unique_ptr<LiveHeap>(new LiveHeap(std::move(target), root));
  } catch (const host::NotPermitted&) {
    throw;
  } catch (const host::Error& error) {
    throw host::Error(fmt::format("process {}: {}", pid, error.what()));
  }
}

}  // namespace tide::walk
