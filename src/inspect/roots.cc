#include "inspect/roots.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "inspect/stack_marks.h"
#include "walk/machine.h"

namespace tide::inspect {
namespace {

using walk::Range;
using walk::Segment;

// Ascending and without overlaps.
std::vector<Range> joined(std::vector<Range> ranges) {
  std::erase_if(ranges, [](const Range& range) { return range.start >= range.end; });
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
  std::vector<Range> all;
  for (const Range& range : ranges) {
    if (!all.empty() && range.start <= all.back().end) {
      all.back().end = std::max(all.back().end, range.end);
    } else {
      all.push_back(range);
    }
  }
  return all;
}

// What is left of `whole` without `excluded`, which ascends.
std::vector<Range> without(Range whole, std::span<const Range> excluded) {
  std::vector<Range> left;
  auto next = std::upper_bound(excluded.begin(), excluded.end(), whole.start,
                               [](uint64_t at, const Range& range) { return at < range.end; });
  for (; next != excluded.end() && next->start < whole.end; ++next) {
    if (whole.start < next->start) left.push_back({whole.start, next->start});
    whole.start = next->end;
    if (whole.start >= whole.end) return left;
  }
  left.push_back(whole);
  return left;
}

// Data that was made read-only once its relocations were done lies before the writable data.
bool is_relocated_data(const Segment& segment, const Segment* next) {
  return next != nullptr && segment.is_file() && next->is_writable && next->start == segment.end &&
         next->file == segment.file;
}

bool may_hold_pointers(const Segment& segment, const Segment* next) {
  if (!segment.is_readable) return false;
  if (segment.is_writable) return true;
  if (segment.is_executable) return false;
  // The program may have made a mapping of its own read-only; "[vvar]" and its like are the
  // kernel's.
  return segment.file.empty() || is_relocated_data(segment, next);
}

std::string thread_text(const walk::Thread& thread) {
  std::string text = "thread " + std::to_string(thread.id);
  if (!thread.name.empty()) text += " (" + thread.name + ")";
  return text;
}

std::string hex(uint64_t number) {
  char text[19];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

// "stack pointer + 0x58"
std::string distance_text(const char* what, uint64_t from, uint64_t address) {
  if (from == 0) return hex(address);
  return std::string(what) +
         (address >= from ? " + " + hex(address - from) : " - " + hex(from - address));
}

}  // namespace

const char* root_kind_name(RootKind kind) {
  switch (kind) {
    case RootKind::kRegister:
      return "register";
    case RootKind::kStack:
      return "stack";
    case RootKind::kThreadLocal:
      return "thread-local";
    case RootKind::kModule:
      return "module";
    case RootKind::kMapping:
      return "mapping";
  }
  return "";
}

Roots::Roots(const walk::Target& target, std::span<const std::unique_ptr<walk::Heap>> heaps)
    : target_(target) {
  std::vector<Range> excluded;
  for (const auto& heap : heaps) {
    for (const Range& range : heap->ranges()) excluded.push_back(range);
    for (const Range& range : heap->records()) excluded.push_back(range);
  }
  for (const walk::Thread& thread : target.threads()) {
    if (!thread.registers.empty()) {
      roots_.push_back({RootKind::kRegister, 0, 0, &thread, {}, 0});
    }
  }
  add_segments(joined(std::move(excluded)));
  std::stable_sort(roots_.begin(), roots_.end(), [](const Root& a, const Root& b) {
    return std::tie(a.kind, a.start) < std::tie(b.kind, b.start);
  });
}

void Roots::add_segments(std::span<const Range> excluded) {
  const std::vector<Segment>& segments = target_.segments();
  const StackMarks marks(target_);
  std::map<std::string_view, uint64_t> bases;
  std::string_view module;  // whose writable data was the segment before
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    const Segment* const next = i + 1 < segments.size() ? &segments[i + 1] : nullptr;
    if (segment.is_file()) bases.emplace(segment.file, segment.start);
    const bool goes_on = i != 0 && segments[i - 1].end == segment.start;
    if (segment.is_file()) {
      module = segment.file;
    } else if (!goes_on || !segment.file.empty() || !segments[i - 1].is_writable) {
      module = {};
    }
    if (!may_hold_pointers(segment, next)) continue;
    for (const Range& range : without({segment.start, segment.end}, excluded)) {
      if (!module.empty()) {
        roots_.push_back({RootKind::kModule, range.start, range.end, nullptr, std::string(module),
                          bases[module]});
        continue;
      }
      for (const StackMarks::Part& part : marks.parts_of(i, range)) {
        const RootKind kind = part.is_thread_local     ? RootKind::kThreadLocal
                              : part.thread != nullptr ? RootKind::kStack
                                                       : RootKind::kMapping;
        roots_.push_back({kind, part.range.start, part.range.end, part.thread, {}, segment.start});
      }
    }
    // Zeroed data follows its file's, once.
    if (!segment.is_file()) module = {};
  }
}

std::string Roots::describe(const Anchor& anchor) const {
  const Root& root = roots_[anchor.root];
  switch (root.kind) {
    case RootKind::kRegister: {
      std::string name(walk::register_name(*root.thread, anchor.address));
      if (name.empty()) name = "number " + std::to_string(anchor.address);
      return "register " + name + " of " + thread_text(*root.thread);
    }
    case RootKind::kStack:
      return "stack of " + thread_text(*root.thread) + ", " +
             distance_text("stack pointer", root.thread->stack_pointer, anchor.address);
    case RootKind::kThreadLocal:
      return "thread-local storage of " + thread_text(*root.thread) + ", " +
             distance_text("thread pointer", root.thread->thread_pointer, anchor.address);
    case RootKind::kModule:
      return "data of " + root.module + " + " + hex(anchor.address - root.module_base);
    case RootKind::kMapping:
      return "mapping at " + hex(root.module_base) + " + " + hex(anchor.address - root.module_base);
  }
  return {};
}

uint64_t Roots::bytes() const {
  uint64_t sum = 0;
  for (const Root& root : roots_) sum += root.end - root.start;
  return sum;
}

std::vector<Range> Roots::ranges() const {
  std::vector<Range> ranges;
  for (const Root& root : roots_) ranges.push_back({root.start, root.end});
  return joined(std::move(ranges));
}

}  // namespace tide::inspect
