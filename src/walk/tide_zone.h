// The slabs of the small or the mid zone, read by the root's description.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "walk/heap.h"
#include "walk/target.h"
#include "walk/tide_root.h"
#include "walk/tide_tables.h"

namespace tide::walk {

// A slab's record, and what is known of its blocks.
struct Slab {
  uint32_t index = 0;
  uint64_t address = 0;
  uint32_t size_class = 0;  // 0: none
  uint32_t owner = 0;
  uint32_t home = 0;
  uint32_t last_class = 0;
  uint32_t first = 0;   // blocks before it are not used
  uint32_t carved = 0;  // blocks from it on were never handed out
  uint32_t blocks = 0;  // the end of those that are used
  uint32_t used = 0;    // live, cached or held back
  uint64_t returned_bytes = 0;
  std::span<const std::byte> states;  // a byte per granule; empty: they can't be read
};

class TideZone {
 public:
  // Throws host::Error when the zone's own figures can't be read, or can't be.
  TideZone(const Target& target, const TideRoot& root, const layout::ZoneAt& zone);
  // By the header of the heap's tables; how far the zone goes, the target's segments say.
  TideZone(const Target& target, const TideRoot& root, const layout::ZoneAt& zone,
           const layout::ZoneHeader& header);

  // Every slab that ever had a class, in order, with its states; those that can't be read are in
  // what it returns. Stops when `visit` returns false.
  Unknown for_each_slab(const std::function<bool(const Slab&)>& visit) const;

  // The slab that `address` is in, with its states in `buffer`; nothing: not in this zone, or not
  // readable.
  std::optional<Slab> slab_at(uint64_t address, Buffer& buffer) const;

  // Which granules begin a live block; returns how many. `states` of one slab.
  using Bits = std::array<uint64_t, 64>;
  uint32_t live_bits(std::span<const std::byte> states, Bits& bits) const;
  bool is_live(std::byte state) const { return is_live_[static_cast<uint8_t>(state)]; }

  // Whether the slab's own records say that the block is free.
  bool is_free(const Slab& slab, uint32_t block) const;
  // The words of a slab's bitmap; nothing: they can't be read.
  std::optional<Bits> free_bits(const Slab& slab) const;

  uint64_t granules_of(uint32_t size_class) const {
    return root_.classes[size_class].block_bytes / granule_bytes_;
  }
  uint64_t granule_bytes() const { return granule_bytes_; }
  Range addresses() const { return place_.blocks(); }
  uint64_t slab_bytes() const { return place_.slab_bytes; }
  uint32_t granules_per_slab() const { return root_.root.slabs.granules_per_slab; }

 private:
  void note_states();
  bool decode(std::span<const std::byte> record, uint32_t index, Slab& slab) const;

  const Target& target_;
  const TideRoot& root_;
  ZonePlace place_;
  uint64_t granule_bytes_ = 0;
  std::array<bool, 256> is_live_{};
  std::array<uint64_t, std::extent_v<decltype(layout::StatesAt::not_live)>> not_live_{};
};

}  // namespace tide::walk
