// What encoder and decoder of a chunk both know of the blocks in it so far, and guess from: which
// block is freed next, which one an allocator gives out next, how large it is.
//
// Both make the same steps in the same order, so that they always know the same; a guess is then
// one number, and a right one mostly 0. Nothing is carried from chunk to chunk. Slots are addresses
// that have appeared in the chunk, numbered in that order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "format/record_reader.h"
#include "format/trace_call.h"
#include "format/trace_record.h"
#include "host/large_memory.h"

namespace tide::trace {

// How the parts of a record follow from its call.
enum class CallKind : uint8_t { kOther, kAllocation, kRelease, kIntent, kResult };

constexpr CallKind kind_of(format::Call call) {
  if (call == format::Call::kReallocDone) return CallKind::kResult;
  if (call == format::Call::kRealloc || call == format::Call::kReallocarray) {
    return CallKind::kIntent;
  }
  if (format::allocates(call)) return CallKind::kAllocation;
  return format::releases(call) ? CallKind::kRelease : CallKind::kOther;
}

// The upper three bits of a head: how the pointer stands. The names are those of blocks that come;
// for one that goes they are kGo...
enum PointerCode : uint8_t {
  kTop = 0,       // the class's block that was freed last
  kStride = 1,    // as far behind the class's last fresh block as that was behind the one before it
  kAdjacent = 2,  // behind the last fresh block of all
  kDepth = 3,     // further down in the class's freed blocks: column kDepths
  kKnown = 4,     // a slot: see known_slots.h
  kDistance = 5,  // a new address: column kAddresses
  kSpecial = 6,   // kResult: the old block; else the block freed last of those of no class
  kNull = 7,
  kGoNewest = 0,  // the live block that came last
  kGoNewer = 1,   // the next newer neighbour that the block freed last had
  kGoOlder = 2,
  kGoDepth = 3,    // further down from the newest
  kGoRealloc = 6,  // the one that the last realloc was about
};

// The upper three bits of a head whose call is none: what differs in the record behind it.
enum Deviation : uint8_t { kSizeDiffers = 1, kDetailDiffers = 2, kHasSizeDiffers = 4 };

inline constexpr uint32_t kNoSlot = UINT32_MAX;

// How many numbers follow the call's record, but for those that only some of its forms have.
constexpr size_t extras_of(format::Call call) {
  switch (call) {
    case format::Call::kMmap:
      return 4;
    case format::Call::kNote:
      return 3;
    case format::Call::kPosixMemalign:
    case format::Call::kNewForm:
    case format::Call::kDeleteForm:
    case format::Call::kMremap:
    case format::Call::kThread:
    case format::Call::kProcess:
      return 2;
    case format::Call::kCalloc:
    case format::Call::kReallocarray:
    case format::Call::kAlignedAlloc:
    case format::Call::kMemalign:
    case format::Call::kFreeAlignedSized:
    case format::Call::kMadvise:
    case format::Call::kFailed:
    case format::Call::kStack:
      return 1;
    default:
      return 0;
  }
}
// Whether the record has the size of the block that goes.
inline bool is_sized(const format::Record& record) {
  return record.has_size || record.call == format::Call::kFreeSized ||
         record.call == format::Call::kFreeAlignedSized;
}
constexpr bool has_text(format::Call call) {
  return call == format::Call::kThread || call == format::Call::kProcess ||
         call == format::Call::kNote;
}
// A difference of pointers as a number that is small for small multiples of 16, both ways.
constexpr uint64_t fold(uint64_t difference) {
  const auto sixteenths = static_cast<uint64_t>(static_cast<int64_t>(difference) >> 4);
  return (format::zigzag(sixteenths) & (UINT64_MAX >> 4)) | difference << 60;
}
constexpr uint64_t unfold(uint64_t value) {
  return format::unzigzag(value & (UINT64_MAX >> 4)) << 4 | value >> 60;
}

class ChunkModel {
 public:
  // What was asked for, and what came of it the last time.
  struct Request {
    uint64_t size;
    uint64_t extras[2];
    uint64_t slack;
  };
  // The first is none: of blocks that were not seen coming.
  static constexpr uint32_t kNoRequest = 0;
  static constexpr size_t kMostRequests = 3500;

  struct Slot {
    uint64_t pointer;
    uint32_t request;
    uint32_t in;  // class
    uint32_t newer;
    uint32_t older;
    uint32_t moment;  // how many blocks had come and gone when this one did
    bool is_live;
  };
  // Of blocks whose size is not known.
  static constexpr uint32_t kNoClass = 0;
  static constexpr uint64_t kFineClasses = 256;
  static constexpr size_t kClasses = 1 + kFineClasses + 8 * 53;

  // Where the fresh blocks of a class were, and which ones are free.
  struct Class {
    uint32_t newest = kNoSlot;
    uint64_t last = 0;
    uint64_t stride = 0;
  };

  // Before a chunk.
  void reset() {
    requests_.assign(1, Request{});
    slots_.clear();
    classes_.fill({});
    live_ = kNoSlot;
    guesses_.fill(0);
    next_details_.fill(0);
    details_.fill(false);
    has_sizes_.fill(false);
    last_address_ = other_address_ = adjacent_end_ = 0;
    gap_ = kUsualGap;
    newer_ = older_ = realloc_ = pending_ = kNoSlot;
    last_slot_ = 0;
    pending_request_ = kNoRequest;
    pending_size_ = last_detail_ = 0;
    last_request_ = 0;
    moment_ = 0;
  }

  // Classes by usable size, or by the size that was asked for where no other is known. Those of up
  // to 4 KiB are apart by 16 bytes, so that glibc's fit either way; larger ones by an eighth.
  static uint32_t class_of(uint64_t usable) {
    const uint64_t key = (usable >> 4) + ((usable & 15) > 8);
    if (key < kFineClasses) return static_cast<uint32_t>(1 + key);
    const unsigned log = 63u - static_cast<unsigned>(__builtin_clzll(key));
    return static_cast<uint32_t>(1 + kFineClasses + (log - 8) * 8 + ((key >> (log - 3)) & 7));
  }

  Slot& slot(uint32_t index) { return slots_[index]; }
  size_t slots() const { return slots_.size(); }
  uint32_t newest_free(uint32_t in) const { return classes_[in].newest; }
  uint32_t newest_live() const { return live_; }
  // What a fresh block of the class is near to.
  uint64_t last_fresh(uint32_t in) const {
    return classes_[in].last != 0 ? classes_[in].last : last_address_;
  }
  Request& request(uint32_t index) { return requests_[index]; }
  size_t requests() const { return requests_.size(); }

  uint32_t add_request(const Request& request) {
    if (requests_.size() == kMostRequests) return kNoRequest;
    requests_.push_back(request);
    return static_cast<uint32_t>(requests_.size() - 1);
  }

  // The request that most likely comes next, and what did come.
  uint32_t& guess(uint64_t detail) {
    const uint64_t key = detail == 0 ? last_request_ : detail * 0x9e3779b97f4a7c15 >> 20;
    return guesses_[key % kGuesses];
  }
  void requested(uint32_t& guess, uint32_t request) { guess = last_request_ = request; }

  // Likewise for details, and whether the call has one.
  uint64_t& next_detail() {
    return next_details_[(last_detail_ * 0x9e3779b97f4a7c15 >> 20) % kGuesses];
  }
  void detailed(uint64_t& guess, uint64_t detail) { guess = last_detail_ = detail; }
  bool& has_detail(format::Call call) { return details_[static_cast<size_t>(call)]; }
  bool& has_size(format::Call call) { return has_sizes_[static_cast<size_t>(call)]; }

  uint64_t stride_guess(uint32_t in) const { return classes_[in].last + classes_[in].stride; }
  uint64_t adjacent_guess() const { return (adjacent_end_ + gap_ + 15) & ~uint64_t{15}; }
  uint64_t last_address() const { return last_address_; }
  uint32_t newer() const { return newer_; }
  uint32_t older() const { return older_; }
  uint32_t last_slot() const { return last_slot_; }
  uint32_t realloc_slot() const { return realloc_; }
  uint32_t pending() const { return pending_; }
  uint32_t pending_request() const { return pending_request_; }
  uint64_t pending_size() const { return pending_size_; }
  // Of a call that says how large the block is that goes.
  uint64_t size_guess(uint32_t index) {
    return index == kNoSlot ? 0 : requests_[slots_[index].request].size;
  }
  // The slot will be asked for; and, when that has come, its neighbours.
  void prefetch(uint32_t index) const {
    if (index < slots_.size()) __builtin_prefetch(&slots_[index], 1);
  }
  void prefetch_neighbours(uint32_t index) const {
    if (index >= slots_.size()) return;
    prefetch(slots_[index].newer);
    prefetch(slots_[index].older);
  }
  uint64_t& other_address() { return other_address_; }
  uint32_t moment() const { return moment_; }

  // In no list yet.
  uint32_t add_slot(uint64_t pointer) {
    slots_.push_back({pointer, kNoRequest, kNoClass, kNoSlot, kNoSlot, 0, false});
    return static_cast<uint32_t>(slots_.size() - 1);
  }

  // A block came. `is_fresh`: not from those that were known to be free.
  void come(uint32_t index, uint32_t in, uint32_t request, uint64_t usable, bool is_fresh) {
    unlink(index);
    Slot& slot = slots_[index];
    slot.request = request;
    slot.in = in;
    slot.is_live = true;
    link(index, live_);
    last_address_ = slot.pointer;
    if (!is_fresh) return;
    Class& fresh = classes_[in];
    fresh.stride = slot.pointer - fresh.last;
    fresh.last = slot.pointer;
    const uint64_t gap = slot.pointer - adjacent_end_;
    if (gap < kMostGap) gap_ = gap;
    adjacent_end_ = slot.pointer + usable;
  }

  // A block went.
  void go(uint32_t index) {
    Slot& slot = slots_[index];
    if (slot.is_live) {
      newer_ = slot.newer;
      older_ = slot.older;
    }
    unlink(index);
    slot.is_live = false;
    link(index, classes_[slot.in].newest);
    last_slot_ = index;
    last_address_ = slot.pointer;
  }

  // A realloc begins, of the block at `index` or of none.
  void intend(uint32_t index, uint32_t request, uint64_t size) {
    pending_ = index;
    pending_request_ = request;
    pending_size_ = size;
    if (index == kNoSlot) return;
    last_address_ = slots_[index].pointer;
    last_slot_ = index;
  }
  // Its result came, or (kNoSlot) it failed; before come() for the new block.
  void finish(uint32_t index) {
    if (index == kNoSlot) return;
    if (pending_ != kNoSlot && pending_ != index) go(pending_);
    realloc_ = index;
    pending_ = kNoSlot;
  }

 private:
  static constexpr size_t kGuesses = 4096;
  static constexpr uint64_t kUsualGap = 8;  // glibc's header
  static constexpr uint64_t kMostGap = 64;

  void link(uint32_t index, uint32_t& newest) {
    Slot& slot = slots_[index];
    slot.newer = kNoSlot;
    slot.older = newest;
    if (newest != kNoSlot) slots_[newest].newer = index;
    newest = index;
    slot.moment = moment_++;
  }

  void unlink(uint32_t index) {
    const Slot& slot = slots_[index];
    uint32_t& newest = slot.is_live ? live_ : classes_[slot.in].newest;
    if (slot.newer != kNoSlot) {
      slots_[slot.newer].older = slot.older;
    } else if (newest == index) {
      newest = slot.older;
    }
    if (slot.older != kNoSlot) slots_[slot.older].newer = slot.newer;
  }

  std::vector<Request> requests_;
  std::vector<Slot, host::LargeAllocator<Slot>> slots_;
  std::array<Class, kClasses> classes_;
  uint32_t live_;
  std::array<uint32_t, kGuesses> guesses_;
  std::array<uint64_t, kGuesses> next_details_;
  std::array<bool, format::kCallCount> details_;
  std::array<bool, format::kCallCount> has_sizes_;
  uint64_t last_address_;
  uint64_t other_address_;  // of calls that aren't about blocks
  uint64_t adjacent_end_;
  uint64_t gap_;
  uint32_t moment_;
  uint32_t newer_;
  uint32_t older_;
  uint32_t realloc_;
  uint32_t last_slot_;
  uint32_t pending_;
  uint32_t pending_request_;
  uint64_t pending_size_;
  uint32_t last_request_;
  uint64_t last_detail_;
};

}  // namespace tide::trace
