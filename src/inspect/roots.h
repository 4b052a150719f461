// Where the program's own pointers begin: registers, stacks, thread-local storage, the data of the
// program and its libraries, and mappings that it made itself.
//
// Every writable byte that is no heap's and no allocator's record is searched, but for the dead
// part of stacks: rather a reference too many, which hides a leak, than one too few, which makes
// one up.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inspect/word_reader.h"
#include "walk/heap.h"
#include "walk/target.h"

namespace tide::inspect {

enum class RootKind : uint8_t { kRegister, kStack, kThreadLocal, kModule, kMapping };
const char* root_kind_name(RootKind kind);  // "register", "stack", ...

// A word outside of all blocks.
struct Anchor {
  RootKind kind;
  uint64_t word;
  uint64_t address;  // of a register: its number
  uint32_t root;     // for Roots::describe()
};

class Roots {
 public:
  Roots(const walk::Target& target, std::span<const std::unique_ptr<walk::Heap>> heaps);

  // visit(anchor) for all words in [lowest, highest], registers first, then by kind and address.
  template <class Visit>
  void for_each(uint64_t lowest, uint64_t highest, Visit visit) const;

  // "stack of thread 4711 (worker), stack pointer + 0x58"
  std::string describe(const Anchor& anchor) const;

  // The first for_each() of several counts them.
  uint64_t missing_bytes() const { return missing_bytes_; }
  uint64_t bytes() const;
  // Addresses that are searched, for tests.
  std::vector<walk::Range> ranges() const;

 private:
  struct Root {
    RootKind kind;
    uint64_t start = 0;
    uint64_t end = 0;
    const walk::Thread* thread = nullptr;
    std::string module;        // the file
    uint64_t module_base = 0;  // where its first byte is mapped
  };

  void add_segments(std::span<const walk::Range> excluded);
  void split_at_threads(const Root& whole);

  const walk::Target& target_;
  std::vector<Root> roots_;  // registers first, then by kind and address
  mutable uint64_t missing_bytes_ = 0;
};

template <class Visit>
void Roots::for_each(uint64_t lowest, uint64_t highest, Visit visit) const {
  const uint64_t span = highest - lowest;
  WordReader reader(target_);
  for (uint32_t r = 0; r < roots_.size(); ++r) {
    const Root& root = roots_[r];
    if (root.kind == RootKind::kRegister) {
      for (uint64_t i = 0; i < root.thread->registers.size(); ++i) {
        const uint64_t word = root.thread->registers[i];
        if (word - lowest <= span) visit(Anchor{root.kind, word, i, r});
      }
      continue;
    }
    reader.read(root.start, root.end, [&](uint64_t address, Words words) {
      for (size_t i = 0; i < words.size(); ++i) {
        if (words[i] - lowest > span) continue;
        visit(Anchor{root.kind, words[i], address + i * sizeof(uint64_t), r});
      }
    });
  }
  missing_bytes_ = reader.missing_bytes();
}

}  // namespace tide::inspect
