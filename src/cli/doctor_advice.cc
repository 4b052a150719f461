#include "cli/doctor_advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/top_view.h"
#include "host/byte_text.h"
#include "host/number_text.h"

namespace tide::cli {
namespace {

using host::byte_text;
using host::grouped;
using walk::AllocatorKind;
using walk::Part;

class Adviser {
 public:
  Adviser(const walk::ProcessPicture& picture, const walk::RssParts& parts)
      : picture_(picture), parts_(parts) {}

  std::vector<std::string> all() {
    if (picture_.tide.has_value()) {
      about_live();
      about_free();
      about_cached();
    } else {
      about_other_allocators();
    }
    about_the_rest();
    std::stable_sort(found_.begin(), found_.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<std::string> texts;
    for (auto& [weight, text] : found_) texts.push_back(std::move(text));
    if (texts.empty()) texts.emplace_back("Nothing stands out.");
    return texts;
  }

 private:
  // What is less than a tenth of the RSS, or next to nothing, is not worth a sentence.
  bool is_worth_it(uint64_t bytes) const {
    constexpr uint64_t kLeast = uint64_t{4} << 20;
    return bytes >= kLeast && bytes >= parts_.rss_bytes / 10;
  }

  void add(uint64_t weight, std::string text) { found_.emplace_back(weight, std::move(text)); }

  void about_live() {
    const uint64_t live = parts_.of(Part::kLive);
    if (live < parts_.rss_bytes / 2) return;
    constexpr size_t kHolders = 3;
    add(live,
        fmt::format(
            "Most of it is in use: {} are live blocks (by size class: {}). No allocator gives "
            "these back; the program has to free them.",
            byte_text(live), largest_holders(picture_.tide->figures, kHolders)));
  }

  void about_free() {
    constexpr size_t kClasses = 3;
    std::string where;
    uint64_t sum = 0;
    for (size_t i = 0; i < std::min(kClasses, parts_.free_in_classes.size()); ++i) {
      const walk::FreeInClass& entry = parts_.free_in_classes[i];
      if (!is_worth_it(entry.free_bytes)) break;
      const uint64_t live = entry.live_blocks * entry.block_bytes;
      where +=
          fmt::format("{}{}{} in size class {} but spread over {} slabs, among {} that are live",
                      i == 0 ? "" : "; ", byte_text(entry.free_bytes), i == 0 ? " are free" : "",
                      entry.block_bytes, grouped(entry.slabs), byte_text(live));
      sum += entry.free_bytes;
    }
    if (sum != 0) {
      add(sum, where +
                   ". Whole pages of it go back by themselves within the purge window, and at "
                   "once by malloc_trim(0); a page with a live block on it stays until that is "
                   "freed.");
    }
    if (is_worth_it(parts_.kept_bytes)) {
      add(parts_.kept_bytes,
          fmt::format(
              "{} are freed mappings that are kept for the next block of their size. They go "
              "back by themselves within the purge window; the option huge_cache bounds "
              "them: tide run -o huge_cache=16M -- ...",
              byte_text(parts_.kept_bytes)));
    }
  }

  void about_cached() {
    const uint64_t cached = parts_.of(Part::kCached);
    if (!is_worth_it(cached)) return;
    add(cached,
        fmt::format("{} are at hand for {} threads; the option thread_cache bounds them: tide run "
                    "-o thread_cache=1M -- ...",
                    byte_text(cached), picture_.tide->figures.threads.size()));
  }

  void about_other_allocators() {
    const uint64_t arenas = parts_.of(Part::kArenas);
    const uint64_t anonymous = arenas + parts_.of(Part::kBreak) + parts_.of(Part::kAnonymous);
    if (parts_.allocator.kind == AllocatorKind::kGlibc && is_worth_it(arenas)) {
      add(arenas, fmt::format("{} lie in {} arenas of glibc's malloc, which threads do not share: "
                              "MALLOC_ARENA_MAX=2 makes them fewer, at the price of waiting.",
                              byte_text(arenas), parts_.arenas));
    }
    if (!is_worth_it(anonymous)) return;
    std::string text;
    if (parts_.allocator.kind == AllocatorKind::kUnknown) {
      text = fmt::format("{} are anonymous memory", byte_text(anonymous));
    } else {
      text = fmt::format("{} are anonymous memory, most of it probably {}'s", byte_text(anonymous),
                         possessor());
    }
    text += ". How much of it is free cannot be told from outside";
    text += parts_.allocator.kind == AllocatorKind::kUnknown
                ? "."
                : "; on Tide it can, and free memory goes back: tide run -- " + picture_.command +
                      " ...";
    add(anonymous, std::move(text));
  }

  // "glibc's malloc" has a possessive already.
  std::string possessor() const {
    return parts_.allocator.kind == AllocatorKind::kGlibc ? "glibc" : parts_.allocator.name;
  }

  void about_the_rest() {
    about(Part::kStacks,
          "{} are stacks: stack pages that were touched once stay; fewer or shorter-lived threads, "
          "or a smaller ulimit -s, help.");
    about(Part::kFiles,
          "{} are pages of mapped files: the kernel drops those that were not written when memory "
          "is short.");
    about(
        Part::kShared,
        "{} are shared memory: every process that maps it counts it, so sums over processes count "
        "it often.");
    if (picture_.tide.has_value()) {
      about(Part::kAnonymous,
            "{} are anonymous mappings that are not Tide's: the program, or a runtime in it, maps "
            "them itself.");
    }
    if (is_worth_it(parts_.huge_page_bytes)) {
      add(parts_.huge_page_bytes,
          fmt::format("{} are in transparent huge pages, which make free memory beside used memory "
                      "resident; /sys/kernel/mm/transparent_hugepage/enabled decides.",
                      byte_text(parts_.huge_page_bytes)));
    }
    if (is_worth_it(parts_.swap_bytes)) {
      add(parts_.swap_bytes,
          fmt::format("{} more are swapped out and come back when they are touched.",
                      byte_text(parts_.swap_bytes)));
    }
  }

  void about(Part part, fmt::format_string<std::string> text) {
    const uint64_t bytes = parts_.of(part);
    if (is_worth_it(bytes)) add(bytes, fmt::format(text, byte_text(bytes)));
  }

  const walk::ProcessPicture& picture_;
  const walk::RssParts& parts_;
  std::vector<std::pair<uint64_t, std::string>> found_;
};

}  // namespace

std::vector<std::string> doctor_advice(const walk::ProcessPicture& picture,
                                       const walk::RssParts& parts) {
  return Adviser(picture, parts).all();
}

}  // namespace tide::cli
