// Which class an object is of, by its vtable alone: from the type information that the compiler
// puts beside every vtable (stripped programs keep it), else from the vtable's symbol.
//
//   vtable - 16: distance to the object's begin | - 8: type information or 0 | 0: functions ...
//   type information: its own vtable | name
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "inspect/modules.h"
#include "walk/target.h"

namespace tide::inspect {

class Vtables {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Both must stay.
  Vtables(const walk::Target& target, const Modules& modules);

  // The number of the class whose vtable `word` points to, or kNone: it points to none.
  uint32_t class_of(uint64_t word) {
    if (word < modules_.lowest() || word >= modules_.highest() || word % 8 != 0) return kNone;
    if (gap_.contains(word)) return kNone;
    const Slot& slot = recent_[(word >> 3) % kRecent];
    return slot.word == word ? slot.number : look_up(word);
  }

  // Numbers are [0, count()). Two vtables of one name are one class. A vtable without a name has
  // its place: "(vtable at prog+0x3d50)".
  const std::string& name(uint32_t number) const { return names_[number]; }
  uint32_t count() const { return static_cast<uint32_t>(names_.size()); }

 private:
  static constexpr size_t kRecent = 4096;
  struct Slot {
    uint64_t word = 0;
    uint32_t number = kNone;
  };

  uint32_t look_up(uint64_t word);
  std::optional<std::string> resolve(uint64_t word) const;
  std::optional<std::string> type_name(uint64_t type_information) const;

  const walk::Target& target_;
  const Modules& modules_;
  walk::Range gap_{};  // between modules: most words are pointers to blocks, and lie in one
  std::array<Slot, kRecent> recent_{};
  std::unordered_map<uint64_t, uint32_t> known_;
  std::unordered_map<std::string, uint32_t> numbers_;
  std::vector<std::string> names_;
};

}  // namespace tide::inspect
