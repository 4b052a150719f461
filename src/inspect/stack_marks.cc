#include "inspect/stack_marks.h"

#include <algorithm>

namespace tide::inspect {
namespace {

using walk::Segment;

// What a function without calls may use below its stack pointer (x86-64).
constexpr uint64_t kRedZoneBytes = 128;
// Of a thread's own record, before or behind the thread pointer.
constexpr uint64_t kThreadRecordBytes = 2304;
// Of thread-local variables between the stack's end and the thread pointer, at least.
constexpr uint64_t kLeastLocalBytes = 256;
constexpr size_t kNowhere = SIZE_MAX;

bool has_no_access(const Segment& segment) {
  return !segment.is_readable && !segment.is_writable && !segment.is_executable;
}

}  // namespace

StackMarks::StackMarks(const walk::Target& target) : target_(target) {
  for (const walk::Thread& thread : target.threads()) {
    mark_stack(thread);
    mark_thread_local(thread);
  }
  std::stable_sort(marks_.begin(), marks_.end(),
                   [](const Mark& a, const Mark& b) { return a.address < b.address; });
  // Below a stack of a segment there is something dead only if no other stack is there.
  for (size_t i = 1; i < marks_.size(); ++i) {
    Mark& mark = marks_[i];
    if (!mark.is_dead || marks_[i - 1].segment != mark.segment) continue;
    mark = marks_[i - 1];
  }
}

void StackMarks::mark_stack(const walk::Thread& thread) {
  if (thread.registers.empty()) return;
  const size_t segment = number_of(thread.stack_pointer);
  if (segment == kNowhere || target_.segments()[segment].is_file()) return;
  const Segment& all = target_.segments()[segment];
  uint64_t alive = thread.stack_pointer & ~uint64_t{7};
  alive = alive - all.start > kRedZoneBytes ? alive - kRedZoneBytes : all.start;
  if (is_stack(segment, thread)) marks_.push_back({segment, all.start, nullptr, false, true});
  marks_.push_back({segment, alive, &thread, false, false});
}

// Before the thread pointer on some machines, behind it on others.
void StackMarks::mark_thread_local(const walk::Thread& thread) {
  const uint64_t pointer = thread.thread_pointer;
  const size_t segment = number_of(pointer);
  if (segment == kNowhere || target_.segments()[segment].is_file()) return;
  const Segment& all = target_.segments()[segment];
  const bool is_below = all.contains(thread.stack_pointer) && thread.stack_pointer < pointer;
  const uint64_t before =
      is_below ? std::min(kLeastLocalBytes, pointer - thread.stack_pointer) : kThreadRecordBytes;
  const uint64_t start = pointer - all.start > before ? pointer - before : all.start;
  marks_.push_back({segment, start, &thread, true, false});
  if (all.end - pointer > kThreadRecordBytes) {
    marks_.push_back({segment, pointer + kThreadRecordBytes, nullptr, false, false});
  }
}

// Names don't tell: a signal's stack may be in the program's data. Below a stack is a guard page,
// or nothing; a thread's has its thread-local storage in it, the first thread's is above all else.
bool StackMarks::is_stack(size_t number, const walk::Thread& thread) const {
  const std::vector<Segment>& segments = target_.segments();
  const Segment& segment = segments[number];
  if (number != 0) {
    const Segment& below = segments[number - 1];
    if (below.end == segment.start && !has_no_access(below)) return false;
  }
  if (segment.contains(thread.thread_pointer)) return thread.thread_pointer > thread.stack_pointer;
  for (size_t above = number + 1; above < segments.size(); ++above) {
    if (segments[above].is_writable) return false;
  }
  return true;
}

size_t StackMarks::number_of(uint64_t address) const {
  if (address == 0) return kNowhere;
  const Segment* const segment = target_.segment_of(address);
  if (segment == nullptr) return kNowhere;
  return static_cast<size_t>(segment - target_.segments().data());
}

std::vector<StackMarks::Part> StackMarks::parts_of(size_t segment, walk::Range range) const {
  std::vector<Part> parts;
  auto next = std::upper_bound(marks_.begin(), marks_.end(), range.start,
                               [](uint64_t at, const Mark& mark) { return at < mark.address; });
  Mark now{segment, range.start, nullptr, false, false};
  if (next != marks_.begin() && next[-1].segment == segment) now = next[-1];
  while (range.start < range.end) {
    const bool ends = next == marks_.end() || next->address >= range.end;
    const uint64_t end = ends ? range.end : next->address;
    if (!now.is_dead && range.start < end) {
      parts.push_back({{range.start, end}, now.thread, now.is_thread_local});
    }
    range.start = end;
    if (!ends) now = *next++;
  }
  return parts;
}

}  // namespace tide::inspect
