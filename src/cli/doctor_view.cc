#include "cli/doctor_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/doctor_advice.h"
#include "cli/heap_json.h"
#include "host/byte_text.h"
#include "host/text_table.h"

namespace tide::cli {
namespace {

using host::Align;
using host::byte_text;
using host::Style;
using host::TextTable;
using walk::AllocatorKind;
using walk::Part;
using Json = nlohmann::ordered_json;

constexpr size_t kUsualWidth = 100;

std::string title_of(Part part, const walk::Allocator& allocator) {
  switch (part) {
    case Part::kLive:
      return "live blocks";
    case Part::kCached:
      return "free, at hand for threads";
    case Part::kFree:
      return "free, in slabs and spans";
    case Part::kRecords:
      return "Tide's records";
    case Part::kBreak:
      return allocator.kind == AllocatorKind::kGlibc ? "glibc's main heap" : "brk heap";
    case Part::kArenas:
      return "glibc's other arenas";
    case Part::kAnonymous:
      return "other anonymous mappings";
    case Part::kStacks:
      return "stacks";
    case Part::kProgram:
      return "program and libraries";
    case Part::kFiles:
      return "mapped files";
    case Part::kShared:
      return "shared memory";
    case Part::kUnexplained:
      break;
  }
  return "not explained";
}

std::string counted(size_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

std::string note_on(Part part, const walk::ProcessPicture& picture, const walk::RssParts& parts) {
  const bool is_foreign = parts.allocator.kind == AllocatorKind::kOther;
  switch (part) {
    case Part::kLive:
      return counted(picture.tide->figures.totals.live_blocks, "block");
    case Part::kCached:
      return counted(picture.tide->figures.threads.size(), "cache");
    case Part::kFree:
      return parts.kept_bytes == 0 ? "fragmentation"
                                   : byte_text(parts.kept_bytes) + " of it in kept mappings";
    case Part::kArenas:
      return counted(parts.arenas, "arena");
    case Part::kStacks:
      return fmt::format("{}, {}", counted(parts.stacks, "stack"),
                         counted(picture.threads, "thread"));
    case Part::kAnonymous:
      if (is_foreign) return parts.allocator.name + "'s memory is in here";
      return parts.allocator.kind == AllocatorKind::kGlibc ? "its large blocks are in here" : "";
    default:
      return "";
  }
}

std::string share(uint64_t bytes, uint64_t whole) {
  if (whole == 0) return "";
  return fmt::format("{} %", (bytes * 100 + whole / 2) / whole);
}

std::string parts_table(const walk::ProcessPicture& picture, const walk::RssParts& parts,
                        const host::Terminal& terminal) {
  TextTable table({{"WHERE"}, {"RESIDENT", Align::kRight}, {"SHARE", Align::kRight}, {"NOTE"}});
  for (size_t i = 0; i < walk::kPartCount; ++i) {
    const auto part = static_cast<Part>(i);
    if (parts.of(part) == 0 && part != Part::kUnexplained) continue;
    table.add_row({{title_of(part, parts.allocator)},
                   {byte_text(parts.of(part))},
                   {share(parts.of(part), parts.rss_bytes)},
                   {note_on(part, picture, parts)}});
  }
  table.add_row({{"RSS", Style::kBold},
                 {byte_text(parts.rss_bytes), Style::kBold},
                 {share(parts.rss_bytes, parts.rss_bytes)},
                 {""}});
  return table.render(terminal);
}

std::string classes_table(const walk::RssParts& parts, const host::Terminal& terminal) {
  constexpr size_t kMost = 5;
  TextTable table({{"SIZE CLASS", Align::kRight},
                   {"FREE", Align::kRight},
                   {"LIVE", Align::kRight},
                   {"SLABS", Align::kRight}});
  for (size_t i = 0; i < std::min(kMost, parts.free_in_classes.size()); ++i) {
    const walk::FreeInClass& entry = parts.free_in_classes[i];
    table.add_row({{fmt::format("{}", entry.block_bytes)},
                   {byte_text(entry.free_bytes)},
                   {byte_text(entry.live_blocks * entry.block_bytes)},
                   {fmt::format("{}", entry.slabs)}});
  }
  return table.render(terminal);
}

// What is beside the RSS, or lies across the parts.
std::string notes(const walk::RssParts& parts) {
  std::string text;
  const auto add = [&](uint64_t bytes, std::string_view what) {
    if (bytes != 0) text += fmt::format("{} {}\n", byte_text(bytes), what);
  };
  add(parts.huge_page_bytes, "of the RSS are in transparent huge pages.");
  add(parts.untouched_bytes, "of Tide's live and free blocks were never touched, or went back.");
  add(parts.hugetlb_bytes, "of hugetlb pages are not counted in the RSS.");
  add(parts.swap_bytes, "are swapped out and not counted in the RSS.");
  return text.empty() ? text : "\n" + text;
}

}  // namespace

std::string doctor_text(const walk::ProcessPicture& picture, const walk::RssParts& parts,
                        const host::Terminal& terminal) {
  std::string text =
      fmt::format("Process {} ({}) has {} resident. Its allocator: {}.\n\n", picture.pid,
                  picture.command, byte_text(parts.rss_bytes), parts.allocator.name);
  text += parts_table(picture, parts, terminal);
  text += notes(parts);
  if (!parts.free_in_classes.empty()) {
    text += "\nFree memory in slabs that may be resident:\n" + classes_table(parts, terminal);
  }
  text += "\nWhat to do:\n";
  const size_t width = terminal.width().value_or(kUsualWidth);
  for (const std::string& advice : doctor_advice(picture, parts)) {
    std::string_view mark = "- ";
    for (const std::string& line : host::wrap_text(advice, width > 20 ? width - 2 : 20)) {
      text += fmt::format("{}{}\n", mark, line);
      mark = "  ";
    }
  }
  return text;
}

std::string doctor_json(const walk::ProcessPicture& picture, const walk::RssParts& parts) {
  Json document = {{"schema", "tide-doctor"},
                   {"schema_version", 1},
                   {"process_id", picture.pid},
                   {"command", picture.command},
                   {"allocator", parts.allocator.name},
                   {"rss_bytes", parts.rss_bytes},
                   {"parts", Json::object()}};
  for (size_t i = 0; i < walk::kPartCount; ++i) {
    const auto part = static_cast<Part>(i);
    document["parts"][std::string(walk::part_key(part)) + "_bytes"] = parts.of(part);
  }
  document["stacks"] = parts.stacks;
  document["arenas"] = parts.arenas;
  document["kept_mapping_bytes"] = parts.kept_bytes;
  document["untouched_bytes"] = parts.untouched_bytes;
  document["huge_page_bytes"] = parts.huge_page_bytes;
  document["hugetlb_bytes"] = parts.hugetlb_bytes;
  document["swap_bytes"] = parts.swap_bytes;
  document["free_in_classes"] = Json::array();
  for (const walk::FreeInClass& entry : parts.free_in_classes) {
    document["free_in_classes"].push_back({{"block_bytes", entry.block_bytes},
                                           {"free_bytes", entry.free_bytes},
                                           {"slabs", entry.slabs},
                                           {"live_blocks", entry.live_blocks}});
  }
  document["advice"] = doctor_advice(picture, parts);
  if (picture.tide.has_value()) {
    document["heap"] = Json::object();
    add_heap_figures(picture.tide->figures, document["heap"]);
  }
  return json_line(document);
}

}  // namespace tide::cli
