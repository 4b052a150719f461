// Memory that is not ours to touch: another process's, or a core's. Tests read their own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tide::walk {

// Bytes to copy from there to here.
struct Piece {
  uint64_t address;
  void* to;
  size_t bytes;
};

class MemorySource {
 public:
  virtual ~MemorySource() = default;
  // All of them, in one go as far as that is possible. Throws host::Error when one is not there.
  virtual void read(const std::vector<Piece>& pieces) const = 0;

  // The bytes from `address` on: as many of `bytes` as can be had at once, at least one. They lie
  // in the source, or in `buffer` until that is used again. Empty: there is nothing at `address`.
  virtual std::span<const std::byte> view(uint64_t address, size_t bytes,
                                          std::vector<std::byte>& buffer) const {
    buffer.resize(bytes);
    read({{address, buffer.data(), bytes}});
    return buffer;
  }
};

// Collects what is to be read; the places must stay where they are until run().
class ReadBatch {
 public:
  template <class T>
  void add(uint64_t address, T& to) {
    pieces_.push_back({address, &to, sizeof to});
  }
  void add_bytes(uint64_t address, void* to, size_t bytes) {
    pieces_.push_back({address, to, bytes});
  }
  void run(const MemorySource& memory) {
    if (!pieces_.empty()) memory.read(pieces_);
    pieces_.clear();
  }
  // By ascending addresses: far quicker for many small pieces near each other.
  void run_sorted(const MemorySource& memory) {
    std::sort(pieces_.begin(), pieces_.end(),
              [](const Piece& a, const Piece& b) { return a.address < b.address; });
    run(memory);
  }

 private:
  std::vector<Piece> pieces_;
};

}  // namespace tide::walk
