#include "cli/fleet_report_stacks.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "cli/fleet_verbs.h"
#include "fleet/profile_questions.h"
#include "host/byte_text.h"
#include "report/flame_tree.h"
#include "report/stacked_plot.h"

namespace tide::cli {
namespace {

using fleet::By;
using report::FlameTree;
using report::Section;
using Json = nlohmann::ordered_json;

constexpr size_t kMostRows = 50;
constexpr size_t kMostStacks = 1000;
constexpr size_t kShownFrames = 8;
constexpr int64_t kPictures = 32;
// Of each process the last profile in so long counts: one that has ended is seen no longer.
constexpr int64_t kLookBack = 600'000'000'000;

// Nodes of a tree for call stacks of the database, asked for once.
class Nodes {
 public:
  Nodes(fleet::Store& store, FlameTree& tree) : store_(store), tree_(tree) {}

  void learn(const std::vector<fleet::TopRow>& rows) {
    std::vector<int64_t> unknown;
    for (const fleet::TopRow& row : rows) {
      if (nodes_.emplace(row.stack, FlameTree::kRoot).second) unknown.push_back(row.stack);
    }
    if (unknown.empty()) return;
    const auto functions = fleet::stack_functions(store_, unknown);
    for (size_t i = 0; i < unknown.size(); ++i) {
      uint32_t node = FlameTree::kRoot;
      for (size_t k = functions[i].size(); k-- > 0;) {
        node = tree_.child(node, tree_.name(functions[i][k]));
      }
      nodes_[unknown[i]] = node;
    }
  }
  uint32_t of(int64_t stack) const { return nodes_.at(stack); }

 private:
  fleet::Store& store_;
  FlameTree& tree_;
  std::unordered_map<int64_t, uint32_t> nodes_;
};

fleet::Selection until(const fleet::Selection& selection, int64_t time_ns, int64_t look_back_ns) {
  fleet::Selection part = selection;
  part.to_ns = time_ns;
  part.from_ns = std::max(selection.from_ns, time_ns - look_back_ns);
  return part;
}

}  // namespace

Section fleet_stacks_section(fleet::Store& store, const fleet::Selection& selection) {
  Section section;
  section.id = "stacks";
  section.kind = "fleet";
  section.title = "Call stacks";
  section.lead = "Live bytes by who allocated them, in processes that are sampled; estimates.";
  FlameTree tree(std::vector<report::FlameView>{{"live", "bytes"}});
  Nodes nodes(store, tree);
  const int64_t step = std::max<int64_t>((selection.to_ns - selection.from_ns) / kPictures, 1);
  std::vector<report::StackPicture> pictures;
  for (int64_t i = 1; i <= kPictures; ++i) {
    const int64_t time = i == kPictures ? selection.to_ns : selection.from_ns + i * step;
    const auto rows = fleet::top_rows(
        store, By::kStack, until(selection, time, std::max(step, kLookBack)), kMostStacks);
    nodes.learn(rows);
    report::StackPicture picture;
    picture.time_ns = static_cast<uint64_t>(time - selection.from_ns);
    for (const fleet::TopRow& row : rows) {
      const auto bytes = static_cast<uint64_t>(std::max<int64_t>(row.live_bytes, 0));
      picture.stacks.emplace_back(nodes.of(row.stack), bytes);
      picture.total += bytes;
      if (i == kPictures) tree.add(nodes.of(row.stack), 0, static_cast<double>(bytes));
    }
    // Where there is no profile nothing is known.
    if (picture.total != 0) pictures.push_back(std::move(picture));
  }
  tree.sum_up();
  section.items.push_back(tree.plot({"flame", "Live bytes by call stack", "At the end."}));
  for (Json& item : report::stacked_items(
           "fleet",
           "Of each process its last profile in the time before. Each layer is a call stack, or a "
           "function with all that it calls; the highest are those that have most.",
           {"time since the beginning", "ns"}, pictures, tree)) {
    section.items.push_back(std::move(item));
  }
  return section;
}

Section fleet_pins_section(fleet::Store& store, const fleet::Selection& selection) {
  Section section;
  section.id = "pins";
  section.kind = "fleet";
  section.title = "What pins pages";
  section.lead =
      "Free memory on pages that live blocks keep from going back to the system, by who allocated "
      "these; estimates from sampled profiles.";
  const auto rows = fleet::profile_rows(store, fleet::ProfileKind::kFragmentation, By::kStack,
                                        until(selection, selection.to_ns, kLookBack), kMostRows);
  const auto functions = fleet::stack_functions_of(store, rows);
  Json cells = Json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].bytes <= 0) continue;
    cells.push_back({rows[i].processes, rows[i].bytes, rows[i].live_bytes, rows[i].blocks,
                     functions_text(functions[i], kShownFrames)});
  }
  if (!cells.empty()) {
    section.answer.push_back(fmt::format(
        "{} pins {} of free memory with {} of live blocks.",
        functions[0].empty() ? "(unknown)" : functions[0][0],
        host::byte_text(static_cast<uint64_t>(rows[0].bytes)),
        host::byte_text(static_cast<uint64_t>(std::max<int64_t>(rows[0].live_bytes, 0)))));
  }
  section.items.push_back(report::table({"pinning", "Call stacks that pin pages", ""},
                                        {{"processes", "count"},
                                         {"pinned", "bytes"},
                                         {"live", "bytes"},
                                         {"live blocks", "count"},
                                         {"allocated by", "text", {}, true}},
                                        cells));
  return section;
}

}  // namespace tide::cli
