#include "walk/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "host/error.h"

namespace tide::walk {

void Target::read(const std::vector<Piece>& pieces) const {
  for (const Piece& piece : pieces) {
    if (try_read(piece.address, piece.to, piece.bytes)) continue;
    throw host::Error(fmt::format("{}: {} bytes at {:#x} are not in it{}", name(), piece.bytes,
                                  piece.address, cut_bytes() == 0 ? "" : ": it is cut off"));
  }
}

const Segment* Target::segment_of(uint64_t address) const {
  const std::vector<Segment>& all = segments();
  auto after = std::upper_bound(all.begin(), all.end(), address,
                                [](uint64_t a, const Segment& s) { return a < s.start; });
  if (after == all.begin()) return nullptr;
  --after;
  return after->contains(address) ? &*after : nullptr;
}

bool Target::is_untouched(uint64_t address) const {
  const Segment* const segment = segment_of(address);
  return segment != nullptr && segment->present == 0 && !segment->is_file() && cut_bytes() == 0;
}

uint64_t Target::next_start(uint64_t address) const {
  const std::vector<Segment>& all = segments();
  const auto next = std::upper_bound(all.begin(), all.end(), address,
                                     [](uint64_t a, const Segment& s) { return a < s.start; });
  return next == all.end() ? UINT64_MAX : next->start;
}

uint64_t Target::mapped_bytes(uint64_t address) const {
  const Segment* segment = segment_of(address);
  if (segment == nullptr) return 0;
  const Segment* const end = segments().data() + segments().size();
  uint64_t reached = segment->end;
  while (++segment != end && segment->start == reached) reached = segment->end;
  return reached - address;
}

bool Target::try_read(uint64_t address, void* to, size_t bytes) const {
  auto* out = static_cast<std::byte*>(to);
  Buffer buffer;
  while (bytes != 0) {
    const std::span<const std::byte> part = view(address, bytes, buffer);
    if (part.empty()) return false;
    std::memcpy(out, part.data(), part.size());
    out += part.size();
    address += part.size();
    bytes -= part.size();
  }
  return true;
}

std::optional<std::string> Target::load_text(uint64_t address, size_t most) const {
  std::string text;
  Buffer buffer;
  while (text.size() < most) {
    const std::span<const std::byte> part = view(address + text.size(), 256, buffer);
    if (part.empty()) return std::nullopt;
    const auto* const begin = reinterpret_cast<const char*>(part.data());
    const auto* const end = static_cast<const char*>(std::memchr(begin, 0, part.size()));
    text.append(begin, end == nullptr ? part.size() : static_cast<size_t>(end - begin));
    if (end != nullptr) return text;
  }
  return std::nullopt;
}

bool has_other_start(const Target& target, const Segment& segment, const std::string& path) {
  constexpr size_t kPage = 4096;
  if (segment.offset != 0 || segment.is_writable) return false;
  std::string file(kPage, '\0'), memory(kPage, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(file.data(), static_cast<std::streamsize>(file.size()));
  file.resize(static_cast<size_t>(in.gcount()));
  return !file.empty() && target.try_read(segment.start, memory.data(), file.size()) &&
         memory.compare(0, file.size(), file) != 0;
}

}  // namespace tide::walk
