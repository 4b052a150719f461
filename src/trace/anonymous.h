// A source whose addresses, names and texts are replaced, each by the same one throughout, by a key
// that is random and forgotten. Sizes, times, threads and the offset of an address in its page
// stay.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "trace/event_source.h"
#include "trace/stack_table.h"
#include "trace/symbol_table.h"

namespace tide::trace {

// Replaces by a key.
class Disguise {
 public:
  // A random key.
  Disguise();
  explicit Disguise(const uint64_t (&key)[2]) : key_{key[0], key[1]} {}

  // Another address below 2^47 for each below 2^47; 0 stays. The low 12 bits stay.
  uint64_t address(uint64_t address) const;
  // Letters and digits for a text; an empty one stays.
  std::string text(std::string_view text) const;

 private:
  uint64_t hash(std::string_view bytes) const;

  uint64_t key_[2];
};

class Anonymous : public EventSource {
 public:
  explicit Anonymous(std::unique_ptr<EventSource> inner);

  const Event* next() override;
  const LiveTable& live() const override { return inner_->live(); }
  const StackTable& stacks() const override;
  const SymbolTable& symbols() const override;
  const ProcessIdentity& process() const override;
  Oddities oddities() const override { return inner_->oddities(); }
  double progress() const override { return inner_->progress(); }

 private:
  std::unique_ptr<EventSource> inner_;
  Disguise disguise_;
  Event event_{};
  std::string text_;
  mutable StackTable stacks_;  // with the same numbers
  mutable SymbolTable symbols_;
  mutable ProcessIdentity process_;
};

}  // namespace tide::trace
