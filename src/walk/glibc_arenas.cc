#include "walk/glibc_arenas.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "walk/glibc_cut.h"

namespace tide::walk::glibc {
namespace {

// Of the 127 bins; a few may have been overwritten.
constexpr int kMostBadBins = 3;

bool is_of_libc(const Segment& segment) {
  const std::string_view file = segment.file;
  const std::string_view name = file.substr(file.rfind('/') + 1);
  return segment.is_file() && (name.starts_with("libc.so") || name.starts_with("libc-2"));
}

// The last bin is always empty: both its links lead to itself. visit(arena) for each such place
// that is an arena; until it returns false.
template <class Visit>
bool scan(const Memory& memory, const Segment& segment, Visit visit) {
  constexpr size_t kStep = 1 << 20;
  constexpr uint64_t kLastBin =
      offsetof(ArenaState, bins) + (ArenaState::kBins - 2) * 2 * sizeof(uint64_t);
  Buffer buffer;
  const uint64_t end = segment.start + std::min(segment.present, segment.size());
  for (uint64_t at = segment.start; at < end;) {
    const auto bytes = memory.target().view(at, std::min<uint64_t>(kStep, end - at), buffer);
    if (bytes.size() < 16) {
      at += kPageBytes;
      continue;
    }
    for (size_t i = 0; i + 16 <= bytes.size(); i += 8) {
      uint64_t links[2];
      std::memcpy(links, bytes.data() + i, sizeof links);
      if (links[0] != at + i - kChunkHead || links[1] != links[0]) continue;
      if (at + i < kLastBin) continue;
      if (!visit(at + i - kLastBin)) return false;
    }
    at += (bytes.size() - 8) & ~uint64_t{7};
  }
  return true;
}

// Whether the word at `at` is `self`; one that a core lacks is taken to be.
bool leads_to(const Memory& memory, uint64_t at, uint64_t self) {
  const auto word = memory.word(at);
  return word.has_value() ? *word == self : memory.is_lost(at);
}

bool is_known(const Arenas& arenas, uint64_t address) {
  return std::any_of(arenas.all.begin(), arenas.all.end(),
                     [&](const Arena& a) { return a.address == address; });
}

// Follows the ring that `first` is in.
void add_ring(const Memory& memory, uint64_t first, Arenas& arenas) {
  uint64_t at = first;
  while (arenas.all.size() < kMostArenas && !is_known(arenas, at)) {
    Arena arena;
    arena.address = at;
    if (!is_arena(memory, at, arena.state)) {
      if (at != first) {
        arenas.problems.push_back(
            {at, fmt::format("the ring of arenas leads to {:#x}, which is none", at)});
      }
      return;
    }
    arenas.all.push_back(arena);
    at = arena.state.next;
  }
}

// An arena but the main one lies behind the record of its first heap.
bool is_in_heap(const Memory& memory, uint64_t arena, uint64_t& heap_info_bytes) {
  const uint64_t heap = arena & ~(kHeapMost - 1);
  const auto info = memory.load<HeapInfo>(heap);
  if (!info.has_value() || info->arena != arena || arena - heap > 64) return false;
  heap_info_bytes = arena - heap;
  return true;
}

// The main one first; the ring has the newest right behind it.
void put_in_order(const Memory& memory, Arenas& arenas) {
  for (Arena& arena : arenas.all) {
    arena.is_main = !is_in_heap(memory, arena.address, arenas.variant.heap_info_bytes);
  }
  const auto is_used_main = [](const Arena& a) { return a.is_main && a.state.system_bytes != 0; };
  auto first = std::find_if(arenas.all.begin(), arenas.all.end(), is_used_main);
  if (first == arenas.all.end()) {
    first = std::find_if(arenas.all.begin(), arenas.all.end(),
                         [](const Arena& a) { return a.is_main; });
  }
  if (first == arenas.all.end()) return;
  std::rotate(arenas.all.begin(), first, arenas.all.end());
  std::reverse(arenas.all.begin() + 1, arenas.all.end());
}

// Whether what follows the arena's figures is as it is by default: it lies within a few pages.
std::optional<Parameters> find_parameters(const Memory& memory, uint64_t arena) {
  constexpr uint64_t kNear = 16 << 10;
  std::vector<std::byte> bytes(kPageBytes);
  for (uint64_t page = (arena - kNear) & ~(kPageBytes - 1); page < arena + kNear;
       page += kPageBytes) {
    if (!memory.read(page, bytes.data(), bytes.size())) continue;
    for (size_t i = 0; i < bytes.size(); i += 8) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i, sizeof word);
      if (word != ThreadCache::kBins) continue;
      const auto found = memory.load<Parameters>(page + i - offsetof(Parameters, cache_bins));
      if (found.has_value() && found->cache_bins == ThreadCache::kBins &&
          found->cache_most == 1032 && found->cache_count <= UINT16_MAX &&
          found->mapped_bytes <= found->most_mapped_bytes) {
        return found;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

const Region* Arenas::region_of(uint64_t address) const {
  auto after = std::upper_bound(regions.begin(), regions.end(), address,
                                [](uint64_t a, const Region& r) { return a < r.range.start; });
  if (after == regions.begin()) return nullptr;
  --after;
  return after->range.contains(address) ? &*after : nullptr;
}

Unknown Arenas::missing() const {
  Unknown missing;
  std::vector<uint64_t> found(all.size());
  for (const Region& region : regions) found[region.arena] += region.bytes();
  for (size_t number = 0; number < all.size(); ++number) {
    const uint64_t counted = all[number].state.system_bytes;
    // What aligns the first chunk is counted too.
    if (counted < found[number] + kPageBytes) continue;
    ++missing.parts;
    missing.bytes += counted - found[number];
    missing.reason = fmt::format("arena {} has {} bytes by its own count, {} were found", number,
                                 counted, found[number]);
  }
  return missing;
}

bool is_arena(const Memory& memory, uint64_t address, ArenaState& state) {
  if (address % 8 != 0 || !memory.read(address, &state, sizeof state)) return false;
  if (state.next == 0 || state.system_bytes > state.most_system_bytes) return false;
  if (state.top == 0 || state.top % 8 != 0) return false;
  int bad = 0;
  for (size_t bin = 1; bin < ArenaState::kBins && bad <= kMostBadBins; ++bin) {
    const uint64_t self = bin_address(address, bin);
    const uint64_t forward = state.bins[2 * bin - 2];
    const uint64_t back = state.bins[2 * bin - 1];
    if (forward == self && back == self) continue;
    if (forward == 0 || back == 0) return false;
    if (!leads_to(memory, forward + kBack, self) || !leads_to(memory, back + kForward, self)) ++bad;
  }
  return bad <= kMostBadBins;
}

Arenas find_arenas(const Memory& memory) {
  Arenas arenas;
  const std::vector<Segment>& segments = memory.target().segments();
  const bool has_libc = std::any_of(segments.begin(), segments.end(), is_of_libc);
  const bool has_names =
      std::any_of(segments.begin(), segments.end(), [](const Segment& s) { return s.is_file(); });
  for (const Segment& segment : segments) {
    if (!segment.is_writable || segment.present == 0) continue;
    if (has_libc ? !is_of_libc(segment) : has_names && !segment.is_file()) continue;
    const bool goes_on = scan(memory, segment, [&](uint64_t at) {
      add_ring(memory, at, arenas);
      return has_libc || arenas.all.empty();
    });
    if (!goes_on) break;
  }
  const bool is_used = std::any_of(arenas.all.begin(), arenas.all.end(),
                                   [](const Arena& a) { return a.state.system_bytes != 0; });
  if (!is_used) return memory.target().cut_bytes() != 0 ? find_cut_arenas(memory) : Arenas{};
  put_in_order(memory, arenas);
  if (arenas.all[0].is_main) {
    arenas.parameters = find_parameters(memory, arenas.all[0].address);
  }
  add_regions(memory, arenas);
  return arenas;
}

}  // namespace tide::walk::glibc
