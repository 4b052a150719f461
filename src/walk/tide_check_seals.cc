// What hardened mode puts behind blocks and into freed ones: who has written there.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "layout/seal.h"
#include "walk/tide_caches.h"
#include "walk/tide_check.h"

namespace tide::walk {
namespace {

// The first byte of [start, end) that is not `value`; `end` if all are, or cannot be read.
uint64_t first_other(const Target& target, uint64_t start, uint64_t end, std::byte value) {
  Buffer buffer;
  for (uint64_t at = start; at < end;) {
    const std::span<const std::byte> bytes = target.view(at, end - at, buffer);
    if (bytes.empty()) return end;
    const auto other =
        std::find_if(bytes.begin(), bytes.end(), [value](std::byte byte) { return byte != value; });
    at += static_cast<uint64_t>(other - bytes.begin());
    if (other != bytes.end()) return at;
  }
  return end;
}

}  // namespace

// Whether a thread was between a block and its seal, as one may be when another one aborts.
bool TideCheck::has_calls() const {
  const std::vector<CacheRecord> caches = read_caches(heap_.target_, heap_.root());
  return std::any_of(caches.begin(), caches.end(),
                     [](const CacheRecord& cache) { return cache.calls > 0; });
}

void TideCheck::report_broken(uint64_t address, uint64_t bytes, bool is_of_class,
                              bool may_be_unwritten) {
  const bool goes_on = is_of_class && broken_end_ == address;
  broken_end_ = address + bytes;
  if (goes_on) {
    return report(
        address, fmt::format("the seal behind the {}-byte block is broken, as is that of the block "
                             "before it, which was most likely written so far past its end",
                             bytes));
  }
  report(
      address,
      fmt::format(
          "the seal behind the {}-byte block is broken: it was written past its "
          "end, most likely by who holds it{}",
          bytes,
          may_be_unwritten || has_calls() ? ", or a call was just about to write the seal" : ""));
}

bool TideCheck::check_seal(uint64_t address, uint64_t bytes, bool is_of_class) {
  const uint64_t room = heap_.room(address, bytes, is_of_class);
  const auto seal = heap_.target_.load<uint64_t>(address + room);
  if (room == bytes || !seal.has_value()) return true;
  const bool is_standing = is_of_class && heap_.has_standing_seals_;
  const auto contents = static_cast<uint16_t>(*seal >> 48);
  bool is_good = (*seal & 1) != 0;  // whatever the secret
  if (secret_.has_value()) {
    is_good = *seal == (is_standing ? layout::standing_seal(*secret_, address)
                                    : layout::seal_word(*secret_, address, contents));
  }
  if (!is_good) {
    // A large block's is 0 until it is written, and from when it is freed.
    report_broken(address, bytes, is_of_class, *seal == 0 && !is_standing);
    return false;
  }
  if (is_standing) return true;
  const uint64_t slack = std::min<uint64_t>(contents >> 3, room);
  const uint64_t end = address + room;
  const uint64_t written =
      first_other(heap_.target_, end - slack, end, std::byte{layout::kSlackByte});
  if (written == end) return true;
  report(
      address,
      fmt::format("the block of {} bytes was written past its end, first at byte {}, most likely "
                  "by who holds it",
                  room - slack, written - address));
  return false;
}

// Whoever writes behind the end of a block breaks its seal.
void TideCheck::check_seals() {
  if (heap_.harden_ == 0) return;
  const auto secret_at = reinterpret_cast<uint64_t>(heap_.root().root.seal_secret);
  secret_ = heap_.target_.load<uint64_t>(secret_at);
  heap_.for_each_block([&](std::span<const Block> blocks) {
    for (const Block& block : blocks) {
      const bool is_of_class = std::any_of(
          heap_.zones_.begin(), heap_.zones_.end(),
          [&](const TideZone& zone) { return zone.addresses().contains(block.address); });
      if (!is_of_class) continue;
      const auto place = heap_.find_place(block.address);
      if (place.has_value() && place->class_bytes != 0) {
        check_seal(block.address, place->class_bytes, true);
      }
      if (is_full()) return false;
    }
    return true;
  });
  heap_.for_each_large([&](const TideHeap::Large& span) {
    if (span.state == heap_.root().root.large.live && !heap_.is_quarantined(span.address)) {
      check_seal(span.address, span.bytes, false);
    }
    return !is_full();
  });
  for (const TideHeap::Large& block : heap_.huge_blocks()) {
    if (!heap_.is_quarantined(block.address)) check_seal(block.address, block.bytes, false);
  }
}

// Whether the word is the standing seal of a block that ended there when the slab had other blocks.
bool TideCheck::is_old_seal(uint64_t at) const {
  const auto word = heap_.target_.load<uint64_t>(at);
  if (!heap_.has_standing_seals_ || !secret_.has_value() || !word.has_value()) return false;
  const std::vector<layout::ClassRow>& classes = heap_.root().classes;
  return std::any_of(classes.begin(), classes.end(), [&](const layout::ClassRow& row) {
    return row.block_bytes != 0 &&
           *word == layout::standing_seal(*secret_, at + layout::kSealBytes - row.block_bytes);
  });
}

// Freed blocks of size classes read as zero, all of them but for standing seals.
void TideCheck::check_freed() {
  if (heap_.harden_ == 0 || !secret_.has_value()) return;
  for (const Listed& block : heap_.listed()) {
    if (is_full()) return;
    const auto place = heap_.find_place(block.address);
    if (!place.has_value() || place->address != block.address || place->class_bytes == 0) continue;
    const bool is_free =
        place->state == BlockState::kCached || place->state == BlockState::kWaiting;
    if (!is_free) continue;
    const uint64_t end = block.address + (heap_.has_standing_seals_
                                              ? heap_.room(block.address, place->class_bytes, true)
                                              : place->class_bytes);
    uint64_t written = first_other(heap_.target_, block.address, end, std::byte{0});
    while (written != end && is_old_seal(written & ~uint64_t{7})) {
      written = first_other(heap_.target_, (written & ~uint64_t{7}) + 8, end, std::byte{0});
    }
    if (written == end) continue;
    const bool may_be_overrun = broken_end_ == block.address && written == block.address;
    report(
        block.address,
        fmt::format("the {}-byte block is free ({}) and was written to after that, {} bytes from "
                    "its beginning: {}",
                    place->class_bytes, list_text(block), written - block.address,
                    may_be_overrun ? "most likely by who holds the block before it"
                                   : "most likely by who held it"));
  }
}

}  // namespace tide::walk
