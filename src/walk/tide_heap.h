// The heap of Tide in a process or a core, by its root alone. The state map says which blocks are
// live: one byte each, nothing is inferred from lists.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "walk/heap.h"
#include "walk/tide_lists.h"
#include "walk/tide_root.h"
#include "walk/tide_tables.h"
#include "walk/tide_zone.h"

namespace tide::walk {

class TideHeap : public Heap {
 public:
  // Throws host::Error when the root is none, of another version, or damaged.
  TideHeap(const Target& target, uint64_t root_address);
  // By the header of its tables alone: blocks of the zones are known, no list is.
  TideHeap(const Target& target, const layout::HeapHeader& header);

  // Whether it has ever given out a block.
  bool is_started() const { return is_started_; }
  const TideRoot& root() const { return root_; }

  std::string allocator() const override { return "Tide " + root_.version; }
  Unknown for_each_block(const Visit& visit) const override;
  HeapSummary summary() const override;
  std::optional<Place> find(uint64_t address) const override;
  Range sizes_like(uint64_t bytes) const override;
  std::vector<Range> ranges() const override;
  std::vector<Range> records() const override;
  std::vector<HeapThread> threads() const override;
  Unknown for_each_span(const VisitSpan& visit) const override;
  std::vector<Problem> check(size_t most) const override;
  std::string not_checked() const override;

 private:
  friend class TideCheck;

  // A span of the large zone, or a block with a mapping of its own.
  struct Large {
    uint64_t address;
    uint64_t bytes;
    uint32_t owner;
    uint8_t state;             // layout::LargeAt
    uint64_t spare_bytes = 0;  // behind it: pages of its span that a live block does not use
  };
  // Guarded blocks; Place has all that is known.
  struct Guarded {
    uint64_t page;
    uint64_t page_bytes;
    Place place;
  };

  // visit(span) for all heads in order; false stops.
  Unknown for_each_large(const std::function<bool(const Large&)>& visit) const;
  std::vector<Large> huge_blocks() const;
  std::vector<Guarded> guarded_blocks(bool with_stacks) const;
  CallStack read_stack(uint64_t at) const;
  bool is_quarantined(uint64_t address) const;
  // Of a block that the engine counts `bytes` for: what is in front of its seal, and what of that
  // its program may use.
  uint64_t room(uint64_t address, uint64_t bytes, bool is_of_class) const;
  uint64_t usable(uint64_t address, uint64_t bytes, bool is_of_class) const;
  std::optional<Place> find_place(uint64_t address) const;
  std::optional<Place> find_in_slab(const TideZone& zone, uint64_t address) const;
  std::optional<Place> find_large(uint64_t address) const;
  std::string where_listed(uint64_t block, BlockState& state) const;
  const std::vector<Listed>& listed() const;
  // Free blocks that the slabs count as used while their pages go back to the system.
  uint64_t held_blocks() const;

  // What a heap without the library's data lacks.
  static void lose_lists(Unknown& unknown);

  const Target& target_;
  const TideRoot root_;
  bool is_started_ = false;
  bool has_engine_ = true;  // the library's data are there
  std::vector<TideZone> zones_;
  LargePlace large_;
  uint32_t harden_ = 0;
  bool has_standing_seals_ = false;
  uint64_t system_page_ = 4096;
  std::vector<uint64_t> quarantine_;
  mutable std::optional<std::vector<Listed>> listed_;
};

}  // namespace tide::walk
