#include "cli/heap_contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "host/error.h"

namespace tide::cli {

void take_size(HeapSession& session, const HeapQuestion& question, const std::string& size) {
  if (size.empty()) return;
  const bool is_hex = size.starts_with("0x");
  const char* const first = size.data() + (is_hex ? 2 : 0);
  const char* const last = size.data() + size.size();
  uint64_t bytes = 0;
  const auto [end, fault] = std::from_chars(first, last, bytes, is_hex ? 16 : 10);
  if (fault != std::errc() || end != last || bytes == UINT64_MAX) {
    throw host::Error(
        fmt::format("{}: '{}' is no size; write a number of bytes, as in: tide heap {}",
                    question.name, size, question.example),
        host::kExitUsage);
  }
  walk::Range sizes = session.heaps.front()->sizes_like(bytes);
  for (const auto& heap : session.heaps) {
    const walk::Range more = heap->sizes_like(bytes);
    sizes = {std::min(sizes.start, more.start), std::max(sizes.end, more.end)};
  }
  session.sizes = sizes;
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
