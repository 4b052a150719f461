#include "report/leak_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "host/byte_text.h"
#include "inspect/leaks.h"
#include "inspect/references.h"
#include "inspect/roots.h"
#include "report/size_labels.h"

namespace tide::report {
namespace {

using host::byte_text;
using inspect::LeakHead;

constexpr size_t kMostBars = 12;
constexpr size_t kMostLeakRows = 200;
// Each is read to see what it is; there may be millions.
constexpr size_t kMostLookedAt = 200'000;

struct LeakedType {
  std::string name;
  uint64_t heads = 0;
  uint64_t blocks = 0;  // with what they hold
  uint64_t bytes = 0;
};

// By what the heads are, those that hold most first.
std::vector<LeakedType> types_of(const inspect::Leaks& leaks, const inspect::BlockIndex& index,
                                 inspect::Contents& contents, std::vector<std::string>& titles) {
  std::map<std::string, LeakedType> types;
  for (const LeakHead& head : leaks.heads) {
    std::string name = "not looked at";
    if (titles.size() < kMostLookedAt) {
      const walk::Block block{index.address_of(head.block), index.bytes_of(head.block), 0};
      name = contents.title(contents.classify(block));
    }
    LeakedType& type = types[name];
    type.name = name;
    ++type.heads;
    type.blocks += head.held.blocks;
    type.bytes += head.held.bytes;
    if (titles.size() < kMostLookedAt) titles.push_back(std::move(name));
  }
  std::vector<LeakedType> order;
  for (auto& [name, type] : types) order.push_back(std::move(type));
  std::stable_sort(order.begin(), order.end(),
                   [](const LeakedType& a, const LeakedType& b) { return a.bytes > b.bytes; });
  return order;
}

Json types_plot(const std::string& id, const std::vector<LeakedType>& types) {
  std::vector<std::string> names;
  Bars bytes = {"leaked bytes", "more", {}};
  for (const LeakedType& type : types) {
    if (names.size() == kMostBars) break;
    names.push_back(type.name);
    bytes.values.push_back(static_cast<double>(type.bytes));
  }
  Json plot = bars({id + "-leaks", "Leaked bytes by type",
                    "By what the block is that nothing points to, with all that only it leads to."},
                   {"", "text"}, {"leaked bytes", "bytes"}, names, {bytes});
  plot["sideways"] = true;
  return plot;
}

Json types_table(const std::string& id, const std::vector<LeakedType>& types, uint64_t all) {
  Json rows = Json::array();
  for (const LeakedType& type : types) {
    if (rows.size() == kMostLeakRows) break;
    rows.push_back({type.name, type.heads, type.blocks, type.bytes,
                    static_cast<double>(type.bytes) / static_cast<double>(all)});
  }
  return table({id + "-leak-types", "Leaks by type", "What the plot shows, and the rest of it."},
               {{"type", "text", "", true},
                {"leaks", "count"},
                {"blocks held", "count"},
                {"bytes held", "bytes"},
                {"share", "percent"}},
               rows);
}

Json heads_table(const std::string& id, const inspect::Leaks& leaks,
                 const inspect::BlockIndex& index, const std::vector<std::string>& titles) {
  Json rows = Json::array();
  for (size_t i = 0; i < std::min(leaks.heads.size(), kMostLeakRows); ++i) {
    const LeakHead& head = leaks.heads[i];
    rows.push_back({fmt::format("{:#x}", index.address_of(head.block)), titles[i],
                    index.bytes_of(head.block), head.held.blocks, head.held.bytes});
  }
  return table({id + "-leaked", "The largest leaks",
                "Blocks that nothing points to any more, by what they hold. `tide heap CORE info "
                "ADDRESS` shows one, `tide heap CORE leaks --all` all of them."},
               {{"block", "text"},
                {"type", "text", "", true},
                {"size", "bytes"},
                {"blocks held", "count"},
                {"bytes held", "bytes"}},
               rows);
}

}  // namespace

void add_leaks(Section& section, const walk::Target& target,
               std::span<const std::unique_ptr<walk::Heap>> heaps, inspect::Contents& contents) {
  const inspect::BlockIndex index(heaps);
  const inspect::Roots roots(target, heaps);
  const inspect::ReferenceGraph graph(target, index);
  const inspect::Leaks leaks(index, graph, inspect::anchored_blocks(roots, index));
  section.fact("leaked", leaks.bytes, "bytes");
  if (index.unknown().parts != 0 || graph.missing_bytes() != 0 || roots.missing_bytes() != 0) {
    section.notes.push_back(
        "Not all memory is there: what only the rest points to is shown as leaked.");
  }
  if (leaks.blocks == 0) {
    section.answer.push_back(fmt::format("Nothing is leaked: something leads to each of {}.",
                                         counted(index.count(), "block")));
    return;
  }
  std::vector<std::string> titles;
  const std::vector<LeakedType> types = types_of(leaks, index, contents, titles);
  section.answer.push_back(fmt::format(
      "{} in {} are leaked, nothing leads to them; {:.0f} % of that hangs on {} of the type {}.",
      byte_text(leaks.bytes), counted(leaks.blocks, "block"),
      100 * static_cast<double>(types.front().bytes) / static_cast<double>(leaks.bytes),
      counted(types.front().heads, "block"), types.front().name));
  section.items.push_back(types_plot(section.id, types));
  section.items.push_back(types_table(section.id, types, leaks.bytes));
  section.items.push_back(heads_table(section.id, leaks, index, titles));
}

}  // namespace tide::report
