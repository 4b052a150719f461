#include "inspect/types.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace tide::inspect {
namespace {

// What is of no class, by kind: each size's blocks in the shares of those that were looked at.
void add_kinds(const Survey& survey, std::vector<Type>& types) {
  std::array<double, kKinds> blocks{};
  std::array<double, kKinds> bytes{};
  bool is_estimate = survey.has_estimated_owners;
  for (const SizeContents& row : survey.sizes) {
    const uint64_t objects = row.kinds[static_cast<size_t>(Kind::kObject)] +
                             row.kinds[static_cast<size_t>(Kind::kObjects)];
    const uint64_t looked_at = row.looked_at - objects;
    const uint64_t rest = row.blocks - std::min(row.blocks, objects);
    if (looked_at == 0 || rest == 0) continue;
    if (looked_at != rest) is_estimate = true;
    const double factor = static_cast<double>(rest) / static_cast<double>(looked_at);
    const double each = static_cast<double>(row.total_bytes) / static_cast<double>(row.blocks);
    for (size_t i = 0; i < kKinds; ++i) {
      const Kind kind = static_cast<Kind>(i);
      if (kind == Kind::kObject || kind == Kind::kObjects) continue;
      blocks[i] += factor * static_cast<double>(row.kinds[i]);
      bytes[i] += factor * static_cast<double>(row.kinds[i]) * each;
    }
  }
  for (size_t i = 0; i < kKinds; ++i) {
    if (blocks[i] == 0) continue;
    const Kind kind = static_cast<Kind>(i);
    types.push_back({fmt::format("({})", kind_title(kind)), kind,
                     static_cast<uint64_t>(std::llround(blocks[i])),
                     static_cast<uint64_t>(std::llround(bytes[i])), is_estimate});
  }
}

}  // namespace

std::vector<Type> types_of(const Survey& survey, const Contents& contents) {
  std::vector<Type> types;
  for (const auto& [key, total] : survey.objects) {
    const auto& [number, is_array] = key;
    types.push_back({contents.vtables().name(number) + (is_array ? "[]" : ""),
                     is_array ? Kind::kObjects : Kind::kObject, total.blocks, total.bytes, false});
  }
  add_kinds(survey, types);
  std::stable_sort(types.begin(), types.end(),
                   [](const Type& a, const Type& b) { return a.bytes > b.bytes; });
  return types;
}

}  // namespace tide::inspect
