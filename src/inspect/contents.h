// What is in a block: text, an object of a class, a container's node, numbers, ... The best guess
// from its bytes and from what they point to.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "inspect/containers.h"
#include "inspect/modules.h"
#include "inspect/pointees.h"
#include "inspect/text.h"
#include "inspect/vtables.h"
#include "walk/heap.h"
#include "walk/target.h"

namespace tide::inspect {

enum class Kind : uint8_t {
  kObject,   // of a class with virtual functions
  kObjects,  // an array of such
  kText,
  kWideText,
  kString,  // the characters of a std::string: one that points here was seen
  kVector,  // the elements of a std::vector, seen the same way
  kTreeNode,
  kListNode,
  kChainNode,  // linked one way
  kHashNode,   // the same, of a hash table that was seen
  kHashBuckets,
  kDequeMap,
  kPointers,   // an array of pointers
  kStructure,  // pointers and other things
  kNumbers,
  kRandom,  // or compressed, or encrypted
  kZeros,
  kUnknown,
  kMissing,  // its bytes cannot be read
};
inline constexpr size_t kKinds = static_cast<size_t>(Kind::kMissing) + 1;

// "text", "std::map or set node", ...
std::string_view kind_title(Kind kind);
// For programs: "text", "map-node", ...
std::string_view kind_word(Kind kind);

struct Content {
  Kind kind = Kind::kUnknown;
  uint32_t class_number = Vtables::kNone;  // of objects
};

class Contents {
 public:
  // As much of a block is looked at.
  static constexpr size_t kLook = 4096;

  // Both must stay.
  Contents(const walk::Target& target, Heaps heaps);

  Content classify(const walk::Block& block);
  // `first`: the first bytes of the block, kLook of them or all.
  Content classify(const walk::Block& block, Bytes first);
  // The class of an object by its first bytes: kObject, kObjects (as far as `first` shows more than
  // one) or kUnknown.
  Content object_of(const walk::Block& block, Bytes first) {
    uint64_t words[2] = {};
    if (first.size() < sizeof words[0]) return {};
    std::memcpy(words, first.data(), std::min(first.size(), sizeof words));
    const uint32_t number = vtables_.class_of(words[0]);
    if (number != Vtables::kNone) {
      return {has_another(block, first, words[0]) ? Kind::kObjects : Kind::kObject, number};
    }
    return words[1] == 0 ? Content{} : array_of(block, words[0], words[1]);
  }

  // "Foo", "Foo[]", "text": in a few words.
  std::string title(const Content& content) const;
  // The first bytes as what they are: text in quotes, else hex and text; at most `most` of them.
  std::string excerpt(const walk::Block& block, const Content& content, size_t most) const;

  const Modules& modules() const { return modules_; }
  const Pointees& pointees() const { return pointees_; }
  const Vtables& vtables() const { return vtables_; }

 private:
  static bool has_another(const walk::Block& block, Bytes first, uint64_t vtable);
  Content array_of(const walk::Block& block, uint64_t count, uint64_t vtable);
  Kind kind_of_words(const walk::Block& block, Bytes first) const;

  const walk::Target& target_;
  Modules modules_;
  Pointees pointees_;
  Vtables vtables_;
  Containers containers_;
  walk::Buffer buffer_;
};

// What a block is, in a few words: "Foo", "text", "numbers".
std::string block_title(const walk::Target& target, Heaps heaps, const walk::Block& block);
// The same and how it begins, on one line.
std::string describe_block(const walk::Target& target, Heaps heaps, const walk::Block& block);

}  // namespace tide::inspect
