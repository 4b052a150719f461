#include "inspect/contents.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "inspect/numbers.h"

namespace tide::inspect {
namespace {

struct KindName {
  std::string_view title;
  std::string_view word;
};

// In the order of Kind.
constexpr std::array<KindName, kKinds> kNames = {{
    {"object", "object"},
    {"array of objects", "objects"},
    {"text", "text"},
    {"UTF-16 or UTF-32 text", "wide-text"},
    {"std::string characters", "string"},
    {"std::vector elements", "vector"},
    {"std::map or set node", "map-node"},
    {"list node (std::list or alike)", "list-node"},
    {"node linked one way (std::forward_list or alike)", "chain-node"},
    {"std::unordered_map or set node", "unordered-map-node"},
    {"std::unordered_map or set buckets", "unordered-map-buckets"},
    {"std::deque map", "deque-map"},
    {"array of pointers", "pointers"},
    {"structure with pointers", "structure"},
    {"numbers", "numbers"},
    {"compressed or random", "random"},
    {"zeros", "zeros"},
    {"unknown", "unknown"},
    {"not readable", "missing"},
}};

// Zeros are only called so when as many bytes as this are.
constexpr size_t kMostZeros = 64 << 10;
constexpr size_t kMostWords = Contents::kLook / sizeof(uint64_t);

bool is_all_zero(const walk::Target& target, const walk::Block& block, size_t from) {
  walk::Buffer buffer;
  const uint64_t end = std::min<uint64_t>(block.bytes, kMostZeros);
  for (uint64_t at = from; at < end;) {
    const Bytes bytes = target.view(block.address + at, end - at, buffer);
    if (bytes.empty() || !is_zeros(bytes)) return false;
    at += bytes.size();
  }
  return true;
}

}  // namespace

std::string_view kind_title(Kind kind) { return kNames[static_cast<size_t>(kind)].title; }
std::string_view kind_word(Kind kind) { return kNames[static_cast<size_t>(kind)].word; }

Contents::Contents(const walk::Target& target, Heaps heaps)
    : target_(target),
      modules_(target),
      pointees_(target, heaps),
      vtables_(target, modules_),
      containers_(target, pointees_) {}

Content Contents::classify(const walk::Block& block) {
  const size_t bytes = std::min<uint64_t>(block.bytes, kLook);
  return classify(block, target_.view(block.address, bytes, buffer_));
}

Content Contents::classify(const walk::Block& block, Bytes first) {
  if (first.empty()) return {block.bytes == 0 ? Kind::kUnknown : Kind::kMissing};
  if (first.size() > kLook) first = first.first(kLook);
  if (is_zeros(first)) {
    return {is_all_zero(target_, block, first.size()) ? Kind::kZeros : Kind::kUnknown};
  }
  const Content object = object_of(block, first);
  if (object.kind != Kind::kUnknown) return object;

  uint64_t word = 0;
  std::memcpy(&word, first.data(), std::min(first.size(), sizeof word));
  const size_t length = text_length(first);
  // An address may consist of letters.
  const bool is_address = length < sizeof word && pointees_.of(word) != Pointee::kNothing;
  if (!is_address && is_text(first, length)) return {Kind::kText};
  for (const size_t unit : {size_t{2}, size_t{4}}) {
    if (wide_text_length(first, unit) != 0) return {Kind::kWideText};
  }
  return {kind_of_words(block, first)};
}

Kind Contents::kind_of_words(const walk::Block& block, Bytes first) const {
  std::array<uint64_t, kMostWords> buffer;
  const size_t count = first.size() / sizeof(uint64_t);
  std::memcpy(buffer.data(), first.data(), count * sizeof(uint64_t));
  const std::span<const uint64_t> words(buffer.data(), count);

  switch (containers_.recognise(block, words)) {
    case Container::kTreeNode:
      return Kind::kTreeNode;
    case Container::kListNode:
      return Kind::kListNode;
    case Container::kChainNode:
      return Kind::kChainNode;
    case Container::kHashBuckets:
      return Kind::kHashBuckets;
    case Container::kDequeMap:
      return Kind::kDequeMap;
    case Container::kNone:
      break;
  }
  size_t used = 0;
  size_t pointers = 0;
  for (const uint64_t value : words) {
    if (value == 0) continue;
    ++used;
    if (pointees_.of(value) != Pointee::kNothing) ++pointers;
  }
  if (pointers >= 2 && pointers * 4 >= used * 3) return Kind::kPointers;
  if (!packed_format(first).empty() || is_random(first)) return Kind::kRandom;
  // One word of many that looks like an address is chance.
  if (pointers != 0 && pointers * 16 >= used) return Kind::kStructure;
  return is_numbers(first) ? Kind::kNumbers : Kind::kUnknown;
}

// Whether a second object of the class follows the first: no class has itself as a member, so a
// block with the same vtable twice holds an array.
bool Contents::has_another(const walk::Block& block, Bytes first, uint64_t vtable) {
  for (size_t at = sizeof vtable; at + sizeof vtable <= first.size(); at += sizeof vtable) {
    if (2 * at > block.bytes) return false;  // no room for two of that size
    if (std::memcmp(first.data() + at, &vtable, sizeof vtable) == 0) return true;
  }
  return false;
}

// What new[] of objects with destructors makes: their number, then the objects.
Content Contents::array_of(const walk::Block& block, uint64_t count, uint64_t vtable) {
  if (count == 0 || count > block.bytes / sizeof(uint64_t)) return {};
  const uint32_t number = vtables_.class_of(vtable);
  if (number == Vtables::kNone) return {};
  return {Kind::kObjects, number};
}

std::string Contents::title(const Content& content) const {
  if (content.kind == Kind::kObject) return vtables_.name(content.class_number);
  if (content.kind == Kind::kObjects) return vtables_.name(content.class_number) + "[]";
  return std::string(kind_title(content.kind));
}

std::string Contents::excerpt(const walk::Block& block, const Content& content, size_t most) const {
  walk::Buffer buffer;
  const Bytes bytes =
      target_.view(block.address, std::min<uint64_t>(block.bytes, 4 * most), buffer);
  if (content.kind == Kind::kWideText) {
    const size_t unit = wide_text_length(bytes, 2) != 0 ? 2 : 4;
    return shown_wide_text(bytes, unit, most);
  }
  const bool is_string = content.kind == Kind::kText || content.kind == Kind::kString;
  return is_string ? shown_text(bytes, most) : hex_and_text(bytes, most);
}

std::string block_title(const walk::Target& target, Heaps heaps, const walk::Block& block) {
  Contents contents(target, heaps);
  return contents.title(contents.classify(block));
}

std::string describe_block(const walk::Target& target, Heaps heaps, const walk::Block& block) {
  Contents contents(target, heaps);
  const Content content = contents.classify(block);
  return fmt::format("{}: {}", contents.title(content), contents.excerpt(block, content, 16));
}

}  // namespace tide::inspect
