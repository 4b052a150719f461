#include "walk/open_target.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "host/error.h"
#include "walk/core_target.h"
#include "walk/glibc_heap.h"
#include "walk/live_target.h"
#include "walk/tide_heap.h"

namespace tide::walk {
namespace {

// A number is a process, even where a file has that name: "./4711" names the file.
bool parse_pid(const std::string& text, int& pid) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return fault == std::errc() && end == text.data() + text.size();
}

// Of a core that was cut off before the library's data: by what their tables begin with.
void add_heaps_without_data(const Target& target, const std::vector<uint64_t>& known,
                            std::vector<std::unique_ptr<Heap>>& heaps) {
  for (const uint64_t address : scan_for_headers(target)) {
    const layout::HeapHeader header = read_tide_header(target, address);
    if (std::find(known.begin(), known.end(), header.root_address) != known.end()) continue;
    heaps.push_back(std::make_unique<TideHeap>(target, header));
  }
}

}  // namespace

std::unique_ptr<Target> open_target(const std::string& what, const OpenOptions& options) {
  int pid = 0;
  if (parse_pid(what, pid)) {
    if (pid <= 0) throw host::Error(fmt::format("'{}' is no process", what), host::kExitUsage);
    return std::make_unique<LiveTarget>(pid, options.stop);
  }
  struct stat status {};
  if (stat(what.c_str(), &status) != 0) {
    throw host::Error(
        fmt::format("'{}' is neither the number of a process nor a core file that is "
                    "there",
                    what));
  }
  return std::make_unique<CoreTarget>(what, options.program, options.sysroot);
}

std::vector<std::unique_ptr<Heap>> find_heaps(const Target& target) {
  std::vector<std::unique_ptr<Heap>> heaps;
  std::vector<uint64_t> known;
  bool has_idle = false;
  for (const uint64_t root : find_roots(target)) {
    std::unique_ptr<TideHeap> heap;
    try {
      heap = std::make_unique<TideHeap>(target, root);
    } catch (const host::NotPermitted&) {
      throw;
    } catch (const host::Error& error) {
      if (target.cut_bytes() != 0) continue;  // perhaps its tables are there
      throw host::Error(fmt::format("{}: {}", target.name(), error.what()));
    }
    known.push_back(root);
    has_idle = has_idle || !heap->is_started();
    if (heap->is_started()) heaps.push_back(std::move(heap));
  }
  if (target.cut_bytes() != 0) add_heaps_without_data(target, known, heaps);
  if (auto glibc = find_glibc_heap(target)) heaps.push_back(std::move(glibc));
  if (!heaps.empty()) return heaps;
  throw host::Error(fmt::format(
      "{}: {}", target.name(),
      has_idle ? "Tide is in it, and has given out no block yet"
      : target.cut_bytes() != 0
          ? "no heap of Tide or of glibc's malloc in what there is of it: it was cut off"
          : "no heap of Tide or of glibc's malloc in it"));
}

}  // namespace tide::walk
