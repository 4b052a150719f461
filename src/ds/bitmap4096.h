// A set of numbers below 4,096 with find-first in two steps: 64 words and a summary word whose bit
// i says that word i is not zero. This is a view: its owner has the words and the summary where it
// likes. No synchronisation: the owner's lock protects them. The words are the truth, the summary
// can be rebuilt from them.
#pragma once

#include <bit>
#include <cstdint>

#include "base/check.h"

namespace tide::ds {

struct Bitmap4096 {
  static constexpr uint32_t kBits = 4096;
  static constexpr uint32_t kWords = kBits / 64;

  struct Words {
    uint64_t at[kWords];
  };

  uint64_t& summary;
  uint64_t* const words;

  Bitmap4096(uint64_t& its_summary, Words& its_words) : summary(its_summary), words(its_words.at) {}

  bool test(uint32_t index) const { return (words[index >> 6] >> (index & 63)) & 1; }

  void set(uint32_t index) {
    words[index >> 6] |= uint64_t{1} << (index & 63);
    summary |= uint64_t{1} << (index >> 6);
  }

  // Adds members of one word; `bits` is not 0.
  void set_in_word(uint32_t word, uint64_t bits) {
    words[word] |= bits;
    summary |= uint64_t{1} << word;
  }

  void clear(uint32_t index) {
    const uint32_t word = index >> 6;
    words[word] &= ~(uint64_t{1} << (index & 63));
    if (words[word] == 0) summary &= ~(uint64_t{1} << word);
  }

  // The lowest member that is not below `from`; kBits when there is none.
  uint32_t next_from(uint32_t from) const {
    if (from >= kBits) return kBits;
    const uint32_t word = from >> 6;
    const uint64_t rest = words[word] >> (from & 63);
    if (rest != 0) return from + static_cast<uint32_t>(std::countr_zero(rest));
    const uint64_t above = word == kWords - 1 ? 0 : summary >> (word + 1) << (word + 1);
    if (above == 0) return kBits;
    const auto next = static_cast<uint32_t>(std::countr_zero(above));
    return next * 64 + static_cast<uint32_t>(std::countr_zero(words[next]));
  }

  bool empty() const { return summary == 0; }

  // Takes the lowest members out, at most `most`, and calls visit(member) for each. Returns how
  // many.
  template <class Visit>
  uint32_t take_lowest(uint32_t most, Visit visit) {
    uint32_t taken = 0;
    while (taken < most && !empty()) {
      const auto word = static_cast<uint32_t>(std::countr_zero(summary));
      TIDE_CHECK1(word < 64 && words[word] != 0, "a bit of the summary stands for a word not zero");
      uint64_t bits = words[word];
      for (; bits != 0 && taken < most; ++taken, bits &= bits - 1) {
        visit(word * 64 + static_cast<uint32_t>(std::countr_zero(bits)));
      }
      words[word] = bits;
      if (bits == 0) summary &= summary - 1;
    }
    return taken;
  }

  uint32_t count() const {
    uint32_t total = 0;
    for (uint32_t word = 0; word < kWords; ++word) {
      total += static_cast<uint32_t>(std::popcount(words[word]));
    }
    return total;
  }

  void reset() {
    summary = 0;
    for (uint32_t word = 0; word < kWords; ++word) words[word] = 0;
  }

  void rebuild_summary() {
    summary = 0;
    for (uint32_t word = 0; word < kWords; ++word) {
      if (words[word] != 0) summary |= uint64_t{1} << word;
    }
  }
};

}  // namespace tide::ds
