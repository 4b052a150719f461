#include "walk/tide_zone.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "layout/constants.h"
#include "walk/root_check.h"

namespace tide::walk {
namespace {

constexpr uint32_t kRecordsAtOnce = 1024;
constexpr uint32_t kStatesAtOnce = 64;  // slabs

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kUpperBits = 0x80 * kOnes;
// Brings the lowest bits of eight bytes together in the highest byte of the product, the first
// byte's lowest.
constexpr uint64_t kGather = 0x0102040810204080;

// The upper bit of each byte of `word` that differs from `state`'s, which has one value eight
// times.
uint64_t upper_bits_of_others(uint64_t word, uint64_t state) {
  const uint64_t difference = word ^ state;
  return ((difference & ~kUpperBits) + ~kUpperBits) | difference;
}

template <class T>
T field(std::span<const std::byte> record, uint32_t offset) {
  T value;
  std::memcpy(&value, record.data() + offset, sizeof value);
  return value;
}

}  // namespace

TideZone::TideZone(const Target& target, const TideRoot& root, const layout::ZoneAt& zone)
    : target_(target),
      root_(root),
      place_(read_zone_place(target, root, zone)),
      granule_bytes_(zone.slab_bytes / root.root.slabs.granules_per_slab) {
  note_states();
}

TideZone::TideZone(const Target& target, const TideRoot& root, const layout::ZoneAt& zone,
                   const layout::ZoneHeader& header)
    : target_(target),
      root_(root),
      granule_bytes_(zone.slab_bytes / root.root.slabs.granules_per_slab) {
  place_.base = header.base;
  place_.states = header.states;
  place_.records = header.records;
  place_.bitmaps = header.bitmaps;
  place_.slab_bytes = zone.slab_bytes;
  const uint64_t slabs = target.mapped_bytes(place_.base) / place_.slab_bytes;
  require_at_most(slabs, kMostSlabs);
  place_.slabs = place_.untouched = static_cast<uint32_t>(slabs);
  note_states();
}

void TideZone::note_states() {
  is_live_.fill(true);
  for (size_t i = 0; i < not_live_.size(); ++i) {
    const uint8_t state = root_.root.states.not_live[i];
    is_live_[state] = false;
    not_live_[i] = state * kOnes;
  }
}

bool TideZone::decode(std::span<const std::byte> record, uint32_t index, Slab& slab) const {
  const layout::SlabAt& at = root_.root.slabs;
  slab.index = index;
  slab.address = place_.base + uint64_t{index} * place_.slab_bytes;
  slab.size_class = field<uint8_t>(record, at.size_class);
  slab.owner = field<uint16_t>(record, at.owner);
  slab.home = field<uint8_t>(record, at.home);
  slab.last_class = field<uint8_t>(record, at.last_class);
  slab.first = field<uint16_t>(record, at.first);
  slab.carved = field<uint32_t>(record, at.carved);
  slab.blocks = field<uint16_t>(record, at.blocks);
  slab.used = field<uint32_t>(record, at.used);
  uint64_t units = 0;
  for (uint32_t word = 0; word < at.purge_units / 64; ++word) {
    units += static_cast<uint64_t>(std::popcount(field<uint64_t>(record, at.purged + 8 * word)));
  }
  slab.returned_bytes = units * (place_.slab_bytes / at.purge_units);
  if (slab.size_class == 0) return true;
  if (slab.size_class >= root_.classes.size()) return false;
  const uint64_t bytes = root_.classes[slab.size_class].block_bytes;
  if (bytes < granule_bytes_ || bytes % granule_bytes_ != 0 || bytes > place_.slab_bytes)
    return false;
  return slab.first <= slab.carved && uint64_t{slab.carved} * bytes <= place_.slab_bytes;
}

Unknown TideZone::for_each_slab(const std::function<bool(const Slab&)>& visit) const {
  const layout::SlabAt& at = root_.root.slabs;
  const uint32_t granules = at.granules_per_slab;
  Unknown unknown;
  const auto lose = [&](const char* why, uint32_t slabs = 1) {
    unknown.parts += slabs;
    unknown.bytes += slabs * place_.slab_bytes;
    if (unknown.reason.empty()) unknown.reason = why;
  };
  Buffer record_buffer;
  Buffer state_buffer;
  for (uint32_t begin = 0; begin < place_.untouched;) {
    const uint32_t some = std::min(kRecordsAtOnce, place_.untouched - begin);
    const std::span<const std::byte> records = target_.view(
        place_.records + uint64_t{begin} * at.bytes, size_t{some} * at.bytes, record_buffer);
    const auto count = static_cast<uint32_t>(records.size() / at.bytes);
    if (count == 0) {
      const uint64_t here = place_.records + uint64_t{begin} * at.bytes;
      const uint64_t gap = (target_.next_start(here) - here) / at.bytes;
      const auto slabs =
          static_cast<uint32_t>(std::clamp<uint64_t>(gap, 1, place_.untouched - begin));
      lose("records of slabs are not there", slabs);
      begin += slabs;
      continue;
    }
    std::span<const std::byte> states;
    uint32_t states_begin = 0;
    for (uint32_t i = 0; i < count; ++i) {
      Slab slab;
      const uint32_t index = begin + i;
      if (!decode(records.subspan(size_t{i} * at.bytes, at.bytes), index, slab)) {
        lose("records of slabs are damaged");
        continue;
      }
      if (slab.size_class != 0) {
        // Those of the slabs behind come along; mostly they are wanted, too.
        if (states.empty() || (index - states_begin + 1) * uint64_t{granules} > states.size()) {
          const uint32_t ahead = std::min(kStatesAtOnce, count - i);
          states = target_.view(place_.states + uint64_t{index} * granules,
                                size_t{ahead} * granules, state_buffer);
          states_begin = index;
        }
        const uint64_t offset = (index - states_begin) * uint64_t{granules};
        if (states.size() < offset + granules) {
          lose("the state map is not there");
          continue;
        }
        slab.states = states.subspan(offset, granules);
      }
      if (!visit(slab)) return unknown;
    }
    begin += count;
  }
  return unknown;
}

std::optional<Slab> TideZone::slab_at(uint64_t address, Buffer& buffer) const {
  if (!addresses().contains(address)) return std::nullopt;
  const auto index = static_cast<uint32_t>((address - place_.base) / place_.slab_bytes);
  const layout::SlabAt& at = root_.root.slabs;
  Slab slab;
  if (index >= place_.untouched) {
    slab.index = index;
    slab.address = place_.base + uint64_t{index} * place_.slab_bytes;
    return slab;
  }
  Buffer record_buffer;
  const std::span<const std::byte> record =
      target_.view(place_.records + uint64_t{index} * at.bytes, at.bytes, record_buffer);
  if (record.size() < at.bytes || !decode(record, index, slab)) return std::nullopt;
  if (slab.size_class == 0) return slab;
  slab.states = target_.view(place_.states + uint64_t{index} * at.granules_per_slab,
                             at.granules_per_slab, buffer);
  if (slab.states.size() < at.granules_per_slab) return std::nullopt;
  return slab;
}

// Eight states at a time: of each its upper bit, set where it is none of those that are not live.
uint32_t TideZone::live_bits(std::span<const std::byte> states, Bits& bits) const {
  bits.fill(0);
  uint32_t count = 0;
  const size_t granules = std::min<size_t>(states.size(), bits.size() * 64);
  for (size_t begin = 0; begin + sizeof(uint64_t) <= granules; begin += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, states.data() + begin, sizeof word);
    if (word == 0) continue;  // mostly
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    uint64_t live = kUpperBits;
    for (const uint64_t state : not_live_) live &= upper_bits_of_others(word, state);
    if (live == 0) continue;
    const uint64_t eight = (live >> 7) * kGather >> 56;
    bits[begin / 64] |= eight << (begin % 64);
    count += static_cast<uint32_t>(((live >> 7) * kOnes) >> 56);
  }
  return count;
}

std::optional<TideZone::Bits> TideZone::free_bits(const Slab& slab) const {
  Bits bits{};
  const uint32_t bytes = root_.root.slabs.bitmap_bytes;
  if (bytes != sizeof bits) return std::nullopt;
  const uint64_t address = place_.bitmaps + uint64_t{slab.index} * bytes;
  // Of a zone in which nothing was freed into a slab yet they were never written.
  if (target_.try_read(address, bits.data(), sizeof bits) || target_.is_untouched(address)) {
    return bits;
  }
  return std::nullopt;
}

bool TideZone::is_free(const Slab& slab, uint32_t block) const {
  if (block >= slab.carved) return true;
  const uint64_t granule = block * granules_of(slab.size_class);
  uint64_t word = 0;
  const uint32_t bytes = root_.root.slabs.bitmap_bytes;
  return target_.try_read(place_.bitmaps + uint64_t{slab.index} * bytes + granule / 64 * 8, &word,
                          sizeof word) &&
         ((word >> (granule % 64)) & 1) != 0;
}

}  // namespace tide::walk
