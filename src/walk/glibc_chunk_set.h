// A set of chunks: a bit per 16 bytes, for such 64 KiB as hold any.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

namespace tide::walk::glibc {

class ChunkSet {
 public:
  static constexpr unsigned kPageShift = 16;
  using Page = std::array<uint64_t, (1 << kPageShift) / 16 / 64>;

  // False: it was in already.
  bool add(uint64_t chunk) {
    std::unique_ptr<Page>& page = pages_[chunk >> kPageShift];
    if (page == nullptr) page = std::make_unique<Page>();
    uint64_t& word = (*page)[word_of(chunk)];
    const bool is_new = (word & bit_of(chunk)) == 0;
    word |= bit_of(chunk);
    return is_new;
  }

  // The page that `chunk` would be in, or null: for many questions in a row.
  const Page* page_of(uint64_t chunk) const {
    const auto found = pages_.find(chunk >> kPageShift);
    return found == pages_.end() ? nullptr : found->second.get();
  }
  static bool is_in(const Page* page, uint64_t chunk) {
    return page != nullptr && ((*page)[word_of(chunk)] & bit_of(chunk)) != 0;
  }
  bool contains(uint64_t chunk) const { return is_in(page_of(chunk), chunk); }

 private:
  static size_t word_of(uint64_t chunk) {
    return (chunk & ((uint64_t{1} << kPageShift) - 1)) / 16 / 64;
  }
  static uint64_t bit_of(uint64_t chunk) { return uint64_t{1} << (chunk / 16 % 64); }

  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
};

}  // namespace tide::walk::glibc
