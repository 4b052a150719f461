// `tide heap X retained [ADDR]`: what would go if a block went.

#include <fmt/format.h>
#include <unistd.h>

#include <optional>

#include "cli/heap_graph.h"
#include "cli/heap_json.h"
#include "cli/heap_question.h"
#include "cli/heap_questions.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "host/text_table.h"
#include "inspect/block_references.h"
#include "inspect/retained.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using host::Align;
using inspect::BlockIndex;
using inspect::Retained;

constexpr size_t kRows = 20;

// The graph goes once it has been walked: references are read again for what comes after.
struct Tree {
  explicit Tree(const HeapSession& session);

  BlockIndex index;
  uint64_t missing_blocks = 0;
  uint64_t missing_roots = 0;
  std::optional<Retained> retained;
};

Tree::Tree(const HeapSession& session) : index(session.heaps) {
  const auto begin = [&](std::string_view part) {
    session.progress->begin(part, host::Progress::Unit::kBytes, index.live_bytes());
  };
  std::vector<uint32_t> anchors;
  {
    const inspect::Roots roots(*session.target, session.heaps);
    anchors = anchored_blocks(roots, index);
    missing_roots = roots.missing_bytes();
  }
  std::optional<inspect::DepthFirst> walk;
  {
    begin("reading references");
    const inspect::ReferenceGraph graph(*session.target, index);
    missing_blocks = graph.missing_bytes();
    session.progress->begin("following references");
    walk.emplace(graph, anchors, inspect::BlockSet(index.count()));
  }
  begin("reading references again");
  retained.emplace(index, std::move(*walk), anchors, [&](const auto& visit) {
    inspect::BlockReferences(*session.target, index).for_each(0, index.count(), visit);
  });
}

Json held_json(const Tree& tree, uint32_t block) {
  const inspect::Held held = tree.retained->held_by(block);
  const uint32_t dominator = tree.retained->dominator_of(block);
  Json json = block_json(tree.index, block);
  json["holds_blocks"] = held.blocks;
  json["holds_bytes"] = held.bytes;
  json["dominator"] = nullptr;
  if (dominator != Retained::kNone) json["dominator"] = hex_text(tree.index.address_of(dominator));
  return json;
}

std::string table_of(const Tree& tree, const std::vector<uint32_t>& blocks) {
  host::TextTable table({{"block"},
                         {"bytes", Align::kRight},
                         {"holds blocks", Align::kRight},
                         {"holds bytes", Align::kRight},
                         {"share", Align::kRight},
                         {"held by"}});
  const auto all = static_cast<double>(tree.index.live_bytes());
  for (const uint32_t block : blocks) {
    const inspect::Held held = tree.retained->held_by(block);
    const uint32_t dominator = tree.retained->dominator_of(block);
    table.add_row(
        {{hex_text(tree.index.address_of(block))},
         {grouped_text(tree.index.bytes_of(block))},
         {grouped_text(held.blocks)},
         {grouped_text(held.bytes)},
         {fmt::format("{:.1f} %", 100 * static_cast<double>(held.bytes) / all)},
         {dominator == Retained::kNone ? "-" : hex_text(tree.index.address_of(dominator))}});
  }
  return table.render(host::Terminal(STDOUT_FILENO));
}

void print_top(const HeapSession& session, const Tree& tree, size_t most) {
  const std::vector<uint32_t> top = tree.retained->largest(most);
  const inspect::Held all = tree.retained->all();
  if (session.as_json) {
    Json json = {{"reached_blocks", all.blocks},
                 {"reached_bytes", all.bytes},
                 {"live_blocks", tree.index.count()},
                 {"live_bytes", tree.index.live_bytes()},
                 {"top", Json::array()}};
    for (const uint32_t block : top) json["top"].push_back(held_json(tree, block));
    print(json_line(json));
    return;
  }
  std::string text = table_of(tree, top);
  text += "\nWhat a block holds is what would go with it: itself and all that only it leads to.\n";
  const uint32_t leaked = tree.index.count() - all.blocks;
  if (leaked != 0) {
    text += fmt::format("{} blocks ({}) are leaked and in no tree; see: tide heap ... leaks\n",
                        grouped_text(leaked), host::byte_text(tree.index.live_bytes() - all.bytes));
  }
  print(text);
}

void print_block(const HeapSession& session, const Tree& tree, uint32_t block, size_t most) {
  if (!tree.retained->is_reached(block)) {
    if (!session.as_json) {
      print(
          fmt::format("nothing leads to the block at {:#x}: it is leaked; what it holds is in: "
                      "tide heap ... leaks\n",
                      tree.index.address_of(block)));
      return;
    }
    print(json_line({{"block", block_json(tree.index, block)}, {"reached", false}}));
    return;
  }
  uint32_t total = 0;
  const std::vector<uint32_t> children = tree.retained->largest_children(block, most, total);
  const inspect::Held held = tree.retained->held_by(block);
  if (session.as_json) {
    Json json = held_json(tree, block);
    Json all = {{"block", block_json(tree.index, block)},
                {"reached", true},
                {"holds_blocks", held.blocks},
                {"holds_bytes", held.bytes},
                {"dominator", json["dominator"]},
                {"children_count", total},
                {"children", Json::array()}};
    for (const uint32_t child : children) all["children"].push_back(held_json(tree, child));
    print(json_line(all));
    return;
  }
  const uint32_t dominator = tree.retained->dominator_of(block);
  std::string text =
      fmt::format("{:#x}: {} bytes; if it went, {} block{} would go, {} bytes ({})\n",
                  tree.index.address_of(block), grouped_text(tree.index.bytes_of(block)),
                  grouped_text(held.blocks), held.blocks == 1 ? "" : "s", grouped_text(held.bytes),
                  host::byte_text(held.bytes));
  text += dominator == Retained::kNone
              ? "no single block holds it: a root does, or several ways lead to it\n"
              : fmt::format("it would go with {:#x}\n", tree.index.address_of(dominator));
  if (total != 0) {
    text += fmt::format("\nthe largest of the {} that it holds at once:\n", grouped_text(total));
    text += table_of(tree, children);
  }
  print(text);
}

int run(HeapSession& session, const Arguments& arguments) {
  const auto argument = only_argument(kRetainedQuestion, arguments);
  std::optional<uint64_t> address;
  if (argument.has_value()) address = parse_address("retained", *argument);
  const Tree tree(session);
  session.progress->finish();
  const size_t most = session.most != 0 ? session.most : kRows;
  warn_of_missing(session, tree.index.unknown(), tree.missing_blocks, tree.missing_roots,
                  "ways through there are not known, and blocks may hold more or less");
  if (address.has_value()) {
    print_block(session, tree, block_at(session, tree.index, "retained", *address), most);
  } else {
    print_top(session, tree, most);
  }
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kRetainedQuestion = {"retained", "[ADDR]",
                                        "What would go if a block went: the largest, or one",
                                        "core.4711 retained --top 50", run};

}  // namespace tide::cli
