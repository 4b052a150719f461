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

template <class T>
T field(std::span<const std::byte> record, uint32_t offset) {
  T value;
  std::memcpy(&value, record.data() + offset, sizeof value);
  return value;
}

}  // namespace

TideZone::TideZone(const Target& target, const TideRoot& root, const layout::ZoneAt& zone)
    : target_(target), root_(root), slab_bytes_(zone.slab_bytes) {
  granule_bytes_ = slab_bytes_ / root.root.slabs.granules_per_slab;
  uint64_t limit = 0;
  ReadBatch batch;
  batch.add(root.at(zone.base), base_);
  batch.add(root.at(zone.states), states_);
  batch.add(root.at(zone.records), records_);
  batch.add(root.at(zone.bitmaps), bitmaps_);
  batch.add(root.at(zone.limit), limit);
  batch.add(root.at(zone.untouched), untouched_);
  batch.run(target);
  const uint64_t slabs = limit / root.root.slabs.granules_per_slab;
  require_at_most(slabs, kMostSlabs);
  slabs_ = static_cast<uint32_t>(slabs);
  untouched_ = std::min(untouched_, slabs_);
  note_states();
}

TideZone::TideZone(const Target& target, const TideRoot& root, const layout::ZoneAt& zone,
                   const layout::ZoneHeader& header)
    : target_(target),
      root_(root),
      slab_bytes_(zone.slab_bytes),
      base_(header.base),
      states_(header.states),
      records_(header.records),
      bitmaps_(header.bitmaps) {
  granule_bytes_ = slab_bytes_ / root.root.slabs.granules_per_slab;
  const uint64_t slabs = target.mapped_bytes(base_) / slab_bytes_;
  require_at_most(slabs, kMostSlabs);
  slabs_ = untouched_ = static_cast<uint32_t>(slabs);
  note_states();
}

void TideZone::note_states() {
  is_live_.fill(true);
  for (const uint8_t state : root_.root.states.not_live) is_live_[state] = false;
}

bool TideZone::decode(std::span<const std::byte> record, uint32_t index, Slab& slab) const {
  const layout::SlabAt& at = root_.root.slabs;
  slab.index = index;
  slab.address = base_ + uint64_t{index} * slab_bytes_;
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
  slab.returned_bytes = units * (slab_bytes_ / at.purge_units);
  if (slab.size_class == 0) return true;
  if (slab.size_class >= root_.classes.size()) return false;
  const uint64_t bytes = root_.classes[slab.size_class].block_bytes;
  if (bytes < granule_bytes_ || bytes % granule_bytes_ != 0 || bytes > slab_bytes_) return false;
  return slab.first <= slab.carved && uint64_t{slab.carved} * bytes <= slab_bytes_;
}

Unknown TideZone::for_each_slab(const std::function<bool(const Slab&)>& visit) const {
  const layout::SlabAt& at = root_.root.slabs;
  const uint32_t granules = at.granules_per_slab;
  Unknown unknown;
  const auto lose = [&](const char* why, uint32_t slabs = 1) {
    unknown.parts += slabs;
    unknown.bytes += slabs * slab_bytes_;
    if (unknown.reason.empty()) unknown.reason = why;
  };
  Buffer record_buffer;
  Buffer state_buffer;
  for (uint32_t begin = 0; begin < untouched_;) {
    const uint32_t some = std::min(kRecordsAtOnce, untouched_ - begin);
    const std::span<const std::byte> records =
        target_.view(records_ + uint64_t{begin} * at.bytes, size_t{some} * at.bytes, record_buffer);
    const auto count = static_cast<uint32_t>(records.size() / at.bytes);
    if (count == 0) {
      const uint64_t here = records_ + uint64_t{begin} * at.bytes;
      const uint64_t gap = (target_.next_start(here) - here) / at.bytes;
      const auto slabs = static_cast<uint32_t>(std::clamp<uint64_t>(gap, 1, untouched_ - begin));
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
          states = target_.view(states_ + uint64_t{index} * granules, size_t{ahead} * granules,
                                state_buffer);
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
  const auto index = static_cast<uint32_t>((address - base_) / slab_bytes_);
  const layout::SlabAt& at = root_.root.slabs;
  Slab slab;
  if (index >= untouched_) {
    slab.index = index;
    slab.address = base_ + uint64_t{index} * slab_bytes_;
    return slab;
  }
  Buffer record_buffer;
  const std::span<const std::byte> record =
      target_.view(records_ + uint64_t{index} * at.bytes, at.bytes, record_buffer);
  if (record.size() < at.bytes || !decode(record, index, slab)) return std::nullopt;
  if (slab.size_class == 0) return slab;
  slab.states =
      target_.view(states_ + uint64_t{index} * at.granules_per_slab, at.granules_per_slab, buffer);
  if (slab.states.size() < at.granules_per_slab) return std::nullopt;
  return slab;
}

// Mostly eight states in a row are 0, and are passed over as one word.
uint32_t TideZone::live_bits(std::span<const std::byte> states, Bits& bits) const {
  bits.fill(0);
  uint32_t count = 0;
  const size_t granules = std::min<size_t>(states.size(), bits.size() * 64);
  for (size_t begin = 0; begin + sizeof(uint64_t) <= granules; begin += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, states.data() + begin, sizeof word);
    if (word == 0) continue;
    uint64_t live = 0;
    for (size_t i = 0; i < sizeof word; ++i) {
      live |= uint64_t{is_live(states[begin + i])} << i;
    }
    bits[begin / 64] |= live << (begin % 64);
    count += static_cast<uint32_t>(std::popcount(live));
  }
  return count;
}

std::optional<TideZone::Bits> TideZone::free_bits(const Slab& slab) const {
  Bits bits{};
  const uint32_t bytes = root_.root.slabs.bitmap_bytes;
  if (bytes != sizeof bits ||
      !target_.try_read(bitmaps_ + uint64_t{slab.index} * bytes, bits.data(), sizeof bits)) {
    return std::nullopt;
  }
  return bits;
}

bool TideZone::is_free(const Slab& slab, uint32_t block) const {
  if (block >= slab.carved) return true;
  const uint64_t granule = block * granules_of(slab.size_class);
  uint64_t word = 0;
  const uint32_t bytes = root_.root.slabs.bitmap_bytes;
  return target_.try_read(bitmaps_ + uint64_t{slab.index} * bytes + granule / 64 * 8, &word,
                          sizeof word) &&
         ((word >> (granule % 64)) & 1) != 0;
}

std::vector<Range> TideZone::records() const {
  const layout::SlabAt& at = root_.root.slabs;
  const uint64_t slabs = slabs_;
  return {{states_ - layout::kClassMapBytes, states_ + slabs * at.granules_per_slab},
          {records_, records_ + slabs * at.bytes},
          {bitmaps_, bitmaps_ + slabs * at.bitmap_bytes}};
}

}  // namespace tide::walk
