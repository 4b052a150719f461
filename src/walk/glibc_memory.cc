#include "walk/glibc_memory.h"

#include <algorithm>
#include <cstring>

#include "walk/glibc_layout.h"

namespace tide::walk::glibc {
namespace {

constexpr size_t kStrideBytes = 1 << 20;

bool may_hold_chunks(const Segment& segment) {
  return segment.is_readable && !segment.is_file() && segment.file != "[vdso]" &&
         segment.file != "[vvar]" && segment.file != "[vsyscall]";
}

}  // namespace

Memory::Memory(const Target& target) : target_(target), windows_(kWindows) {
  for (const Segment& segment : target.segments()) {
    if (!may_hold_chunks(segment)) continue;
    if (!areas_.empty() && areas_.back().end == segment.start) {
      areas_.back().end = segment.end;
    } else {
      areas_.push_back({segment.start, segment.end});
    }
  }
}

const Range* Memory::area_of(uint64_t address) const {
  auto after = std::upper_bound(areas_.begin(), areas_.end(), address,
                                [](uint64_t a, const Range& r) { return a < r.start; });
  if (after == areas_.begin()) return nullptr;
  --after;
  return after->contains(address) ? &*after : nullptr;
}

uint64_t Memory::next_there(uint64_t address) const {
  const uint64_t next = align_up(address + 1, kPageBytes);
  const Segment* const segment = target_.segment_of(address);
  if (segment == nullptr || address - segment->start < segment->present) return next;
  return std::max(next, segment->end);
}

const Memory::Window* Memory::window_of(uint64_t address) const {
  Window& window = windows_[(address >> kWindowShift) % kWindows];
  if (address - window.start < window.bytes.size()) return &window;
  const Segment* const segment = target_.segment_of(address);
  if (segment == nullptr) return nullptr;
  const uint64_t aligned = address >> kWindowShift << kWindowShift;
  const uint64_t end = aligned + (uint64_t{1} << kWindowShift);
  window.start = std::max(aligned, segment->start);
  window.bytes = target_.view(window.start, end - window.start, window.buffer);
  if (address - window.start < window.bytes.size()) return &window;
  // There is a hole before it.
  window.start = address;
  window.bytes = target_.view(address, end - address, window.buffer);
  return window.bytes.empty() ? nullptr : &window;
}

bool Memory::read(uint64_t address, void* to, size_t bytes) const {
  auto* out = static_cast<std::byte*>(to);
  while (bytes != 0) {
    const Window* const window = window_of(address);
    if (window == nullptr) return false;
    const uint64_t offset = address - window->start;
    const size_t part = std::min(bytes, window->bytes.size() - offset);
    std::memcpy(out, window->bytes.data() + offset, part);
    out += part;
    address += part;
    bytes -= part;
  }
  return true;
}

const std::byte* Stride::refill(uint64_t address) {
  start_ = address;
  bytes_ = target_.view(address, kStrideBytes, buffer_);
  return bytes_.size() < 16 ? nullptr : bytes_.data();
}

}  // namespace tide::walk::glibc
