// Freed mappings that are kept for reuse, a few of them: whole ones and pieces. A piece is cut
// where a block needs less, and joined to the kept neighbour that it was cut from, so a block that
// shrinks and grows again finds its own pages behind it.
//
// Every store leaves each slot true by itself and no two overlap, so a forked child needs no repair
// but for the sum. The owner's lock protects all of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/racy.h"
#include "heap/low_water.h"

namespace tide::heap {

class KeptMappings {
 public:
  struct Piece {
    uintptr_t address;  // 0: an empty slot
    size_t bytes;
    bool going;  // on its way back to the system; not in bytes(), and nobody may have it
  };

  static constexpr uint32_t kMostPieces = 32;

  constexpr KeptMappings() = default;

  // False: no slot is empty.
  bool put(uintptr_t address, size_t bytes) {
    const size_t added = bytes;
    if (Piece* const behind = beginning_at(address + bytes)) {
      bytes += behind->bytes;
      base::racy_store(behind->address, uintptr_t{0});
    }
    Piece* const before = ending_at(address);
    Piece* const slot = before != nullptr ? before : empty();
    if (slot == nullptr) return false;  // then there was no neighbour, whose slot would be empty
    if (before != nullptr) {
      base::racy_store(slot->bytes, slot->bytes + bytes);
    } else {
      slot->bytes = bytes;
      slot->going = false;
      base::published_store(slot->address, address);
    }
    base::racy_store(bytes_, bytes_ + added);
    return true;
  }

  // `bytes` of the smallest piece that has them, and what is too little to be kept by itself: at
  // most an eighth. {0, 0, false}: there is none. Of a longer piece the end: were it the front, the
  // address of a block that was freed would be another's at once, and freeing it twice a good free.
  // But a block that `grows` gets the front, and finds room behind it.
  Piece take(size_t bytes, bool grows) {
    Piece* best = nullptr;
    for (Piece& piece : pieces_) {
      if (piece.address == 0 || piece.going || piece.bytes < bytes) continue;
      if (best == nullptr || piece.bytes < best->bytes) best = &piece;
    }
    if (best == nullptr) return {0, 0, false};
    if (best->bytes - bytes <= bytes / 8) return take_whole(*best);
    if (grows) return take_front(*best, bytes);
    base::racy_store(best->bytes, best->bytes - bytes);
    leave(bytes);
    return {best->address + best->bytes, bytes, false};
  }

  // The first `bytes` of the piece that begins at `address`. False: it has not so many.
  bool take_at(uintptr_t address, size_t bytes) {
    Piece* const piece = beginning_at(address);
    if (piece == nullptr || piece->bytes < bytes) return false;
    take_front(*piece, bytes);
    return true;
  }

  Piece take_whole(Piece& piece) { return take_front(piece, piece.bytes); }

  // A piece of which `bytes` at most, its end, is going from now on; null: there is none.
  Piece* begin_to_go(size_t bytes) {
    Piece* piece = any();
    if (piece == nullptr) return nullptr;
    Piece* const rest = bytes < piece->bytes ? empty() : nullptr;
    if (rest != nullptr) {
      base::racy_store(piece->bytes, piece->bytes - bytes);
      rest->bytes = bytes;
      rest->going = true;
      base::published_store(rest->address, piece->address + piece->bytes);
      piece = rest;
    } else {
      piece->going = true;
    }
    leave(piece->bytes);
    return piece;
  }
  void has_gone(Piece& piece) { base::racy_store(piece.address, uintptr_t{0}); }

  // One that nobody is giving back, or null.
  Piece* any() {
    for (Piece& piece : pieces_) {
      if (piece.address != 0 && !piece.going) return &piece;
    }
    return nullptr;
  }

  // The longest that nobody is giving back, or null.
  Piece* longest() {
    Piece* best = nullptr;
    for (Piece& piece : pieces_) {
      if (piece.address == 0 || piece.going) continue;
      if (best == nullptr || piece.bytes > best->bytes) best = &piece;
    }
    return best;
  }

  bool holds(uintptr_t address) const {
    for (const Piece& piece : pieces_) {
      if (piece.address != 0 && address - piece.address < piece.bytes) return true;
    }
    return false;
  }

  // In a forked child: what a vanished thread was giving back is kept as before.
  void repair_in_child() {
    bytes_ = 0;
    for (Piece& piece : pieces_) {
      piece.going = false;
      if (piece.address != 0) bytes_ += piece.bytes;
    }
  }

  size_t bytes() const { return base::racy_load(bytes_); }
  // Of bytes(); for the one that gives memory back.
  LowWater& low_water() { return low_water_; }

 private:
  friend struct EngineMap;

  Piece* empty() {
    for (Piece& piece : pieces_) {
      if (piece.address == 0) return &piece;
    }
    return nullptr;
  }
  Piece* beginning_at(uintptr_t address) {
    for (Piece& piece : pieces_) {
      if (piece.address == address && !piece.going) return &piece;
    }
    return nullptr;
  }
  Piece* ending_at(uintptr_t address) {
    for (Piece& piece : pieces_) {
      if (piece.address != 0 && !piece.going && piece.address + piece.bytes == address) {
        return &piece;
      }
    }
    return nullptr;
  }

  Piece take_front(Piece& piece, size_t bytes) {
    const Piece taken{piece.address, bytes, false};
    const size_t left = piece.bytes - bytes;
    base::racy_store(piece.address, uintptr_t{0});
    if (left != 0) {
      piece.bytes = left;
      base::published_store(piece.address, taken.address + bytes);
    }
    leave(bytes);
    return taken;
  }

  void leave(size_t bytes) {
    base::racy_store(bytes_, bytes_ - bytes);
    low_water_.note(bytes_);
  }

  Piece pieces_[kMostPieces] = {};
  size_t bytes_ = 0;
  LowWater low_water_;
};

}  // namespace tide::heap
