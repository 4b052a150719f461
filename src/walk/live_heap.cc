#include "walk/live_heap.h"

#include <fmt/format.h>

namespace tide::walk {

std::unique_ptr<LiveHeap> LiveHeap::open(const host::Proc& proc, RootFinder& finder, int pid,
                                         const std::vector<host::Mapping>& mappings) {
  const auto root = finder.find(pid, mappings);
  if (!root.has_value()) return nullptr;
  try {
    return std::unique_ptr<LiveHeap>(new LiveHeap(proc, pid, *root));
  } catch (const host::NotPermitted&) {
    throw;
  } catch (const host::Error& error) {
    throw host::Error(fmt::format("process {}: {}", pid, error.what()));
  }
}

}  // namespace tide::walk
