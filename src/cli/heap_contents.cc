#include "cli/heap_contents.h"

#include <fmt/format.h>

#include <charconv>

#include "host/error.h"

namespace tide::cli {

void take_size(HeapSession& session, const HeapQuestion& question, const std::string& size) {
  if (size.empty()) return;
  uint64_t bytes = 0;
  const auto [end, fault] = std::from_chars(size.data(), size.data() + size.size(), bytes);
  if (fault != std::errc() || end != size.data() + size.size() || bytes == UINT64_MAX) {
    throw host::Error(
        fmt::format("{}: '{}' is no size; write the usable bytes of a block, as in: tide heap {}",
                    question.name, size, question.example),
        host::kExitUsage);
  }
  session.sizes = walk::Range{bytes, bytes + 1};
}

void limit_survey(const HeapSession& session, bool is_for_all, inspect::SurveyOptions& options) {
  if (is_for_all) {
    options.most_per_size = 0;
    options.most_scanned = UINT64_MAX;
  }
  if (session.sizes.has_value()) {
    options.is_wanted = [&session](uint64_t bytes) { return session.is_wanted(bytes); };
  }
}

std::vector<walk::Block> first_blocks(const HeapSession& session, size_t most) {
  std::vector<walk::Block> found;
  walk::Unknown unknown;
  for (const auto& heap : session.heaps) {
    if (found.size() == most) break;
    const walk::Unknown here = heap->for_each_block([&](std::span<const walk::Block> blocks) {
      for (const walk::Block& block : blocks) {
        if (found.size() == most) return false;
        if (session.is_wanted(block.bytes)) found.push_back(block);
      }
      return true;
    });
    unknown.add(here);
  }
  warn_of_unknown(session, unknown);
  return found;
}

std::string hex_text(uint64_t address) { return fmt::format("{:#x}", address); }

std::string grouped_text(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string percent_text(uint64_t part, uint64_t all) {
  if (all == 0) return "0.0 %";
  return fmt::format("{:.1f} %", 100 * static_cast<double>(part) / static_cast<double>(all));
}

}  // namespace tide::cli
