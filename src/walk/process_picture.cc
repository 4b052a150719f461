#include "walk/process_picture.h"

#include <charconv>
#include <memory>
#include <string_view>

#include "host/pagemap.h"
#include "host/terminal.h"
#include "walk/live_heap.h"

namespace tide::walk {
namespace {

// Of "NUMBER ARGUMENTS... 0xSP 0xPC"; nothing for "running".
std::optional<uint64_t> stack_pointer(std::string_view text) {
  const size_t last = text.rfind(' ');
  if (last == std::string_view::npos || last == 0) return std::nullopt;
  const size_t before = text.rfind(' ', last - 1);
  if (before == std::string_view::npos) return std::nullopt;
  std::string_view word = text.substr(before + 1, last - before - 1);
  if (!word.starts_with("0x")) return std::nullopt;
  word.remove_prefix(2);
  uint64_t value = 0;
  const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), value, 16);
  if (fault != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

}  // namespace

ProcessPicture take_picture(const host::Proc& proc, int pid) {
  ProcessPicture picture;
  picture.pid = pid;
  picture.mappings = host::parse_maps(proc.read(pid, "smaps"));
  picture.command = proc.command(pid);
  picture.rss_bytes = proc.status_bytes(pid, "VmRSS");
  for (const int thread : proc.threads(pid)) {
    ++picture.threads;
    const auto text = proc.try_read(pid, "task/" + std::to_string(thread) + "/syscall");
    if (const auto pointer = stack_pointer(text.value_or(""))) {
      picture.stack_pointers.push_back(*pointer);
    }
  }
  const auto heap = proc.is_of_this_system() ? LiveHeap::open(pid) : nullptr;
  if (heap != nullptr) {
    const HeapReader& reader = heap->reader();
    picture.tide = {host::printable(reader.library_version()), reader.figures(), reader.ranges()};
  }
  const auto pagemap = std::make_shared<host::Pagemap>(proc, pid);
  picture.resident = [pagemap](uint64_t start, uint64_t end) {
    return pagemap->resident_bytes(start, end);
  };
  return picture;
}

}  // namespace tide::walk
