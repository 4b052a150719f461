#include "inspect/vtables.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "host/demangle.h"
#include "host/terminal.h"

namespace tide::inspect {
namespace {

// What damaged memory can make us keep.
constexpr size_t kMostKnown = 1 << 18;
constexpr size_t kMostClasses = 1 << 16;
constexpr size_t kLongestName = 4096;
constexpr int64_t kLargestObject = 1 << 24;
constexpr std::string_view kVtablePrefix = "_ZTV";
constexpr const char* kTooMany = "(more classes)";

// As compilers mangle the names of classes: "3Foo", "N4tide3FooE", "St9exception", "Z4mainE3Foo".
bool is_mangled_class(std::string_view name) {
  if (name.empty()) return false;
  const char first = name.front();
  if (!(first >= '1' && first <= '9') && first != 'N' && first != 'S' && first != 'Z') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '.' || c == '$' || (static_cast<unsigned char>(c) & 0x80U) != 0;
  });
}

}  // namespace

Vtables::Vtables(const walk::Target& target, const Modules& modules)
    : target_(target), modules_(modules) {}

uint32_t Vtables::look_up(uint64_t word) {
  if (!modules_.holds(word)) {
    gap_ = modules_.gap_around(word);
    return kNone;
  }
  Slot& slot = recent_[(word >> 3) % kRecent];
  const auto known = known_.find(word);
  if (known != known_.end()) {
    slot = {word, known->second};
    return known->second;
  }
  uint32_t number = kNone;
  if (std::optional<std::string> name = resolve(word)) {
    if (names_.size() >= kMostClasses) name = kTooMany;
    *name = host::printable(std::move(*name));
    const auto [entry, is_new] = numbers_.try_emplace(*name, count());
    if (is_new) names_.push_back(std::move(*name));
    number = entry->second;
  }
  if (known_.size() < kMostKnown) known_.emplace(word, number);
  slot = {word, number};
  return number;
}

std::optional<std::string> Vtables::resolve(uint64_t word) const {
  int64_t head[3];  // distance to the object's begin, type information, first function
  if (!target_.try_read(word - 16, head, 16)) return std::nullopt;
  if (head[0] > 0 || head[0] < -kLargestObject) return std::nullopt;
  const auto type_information = static_cast<uint64_t>(head[1]);
  if (type_information != 0) {
    // An abstract class without a function of its own may have nothing behind these two words.
    if (std::optional<std::string> name = type_name(type_information)) return name;
  }
  if (const std::optional<Modules::Name> name = modules_.name_of(word)) {
    if (name->symbol.starts_with(kVtablePrefix) && name->offset >= 16) {
      return host::demangled(name->symbol.substr(kVtablePrefix.size()));
    }
  }
  // Without a name: at least a table of functions, and what must be before it.
  if (head[0] != 0 || !target_.try_read(word, &head[2], 8) ||
      !modules_.is_code(static_cast<uint64_t>(head[2]))) {
    return std::nullopt;
  }
  if (type_information != 0) {
    const std::optional<uint64_t> kind = target_.load<uint64_t>(type_information);
    if (!modules_.holds(type_information) || !kind.has_value() || !modules_.holds(*kind)) {
      return std::nullopt;
    }
  }
  return fmt::format("(vtable at {})", modules_.place_of(word));
}

std::optional<std::string> Vtables::type_name(uint64_t type_information) const {
  if (type_information % 8 != 0 || !modules_.holds(type_information)) return std::nullopt;
  uint64_t words[2];  // vtable of the type information's own class, name
  if (!target_.try_read(type_information, words, sizeof words)) return std::nullopt;
  if (words[0] % 8 != 0 || !modules_.holds(words[0]) || !modules_.holds(words[1])) {
    return std::nullopt;
  }
  std::optional<std::string> name = target_.load_text(words[1], kLongestName);
  if (!name.has_value()) return std::nullopt;
  // A name that is to be compared by its address: of a class that other files do not see.
  if (name->starts_with('*')) name->erase(0, 1);
  if (!is_mangled_class(*name)) return std::nullopt;
  std::string text = host::demangled(*name);
  // A letter alone is a type as well ("i": int), but no class; and what is no name stays as it is.
  const bool is_plain = text == *name;
  if (is_plain && name->size() < 256) return std::nullopt;
  return text;
}

}  // namespace tide::inspect
