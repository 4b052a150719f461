// `tide heap X path ADDR`: why a block is still there: a shortest way to it from a root.

#include <fmt/format.h>

#include "cli/heap_graph.h"
#include "cli/heap_json.h"
#include "cli/heap_question.h"
#include "cli/heap_questions.h"
#include "host/error.h"
#include "inspect/reach.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using inspect::BlockIndex;

// A block on the way, and which word of it leads on.
struct Step {
  uint32_t block;
  uint64_t offset = 0;  // of the word in this block that points to the next one
  uint64_t into = 0;    // how far into this block the step before points
};

// The first word of a block that points to another one.
void find_word(const HeapSession& session, const BlockIndex& index, Step& from, Step& to) {
  const uint64_t start = index.address_of(from.block);
  const uint64_t target = index.address_of(to.block);
  bool is_found = false;
  inspect::WordReader reader(*session.target);
  reader.read(start, start + index.bytes_of(from.block),
              [&](uint64_t address, inspect::Words words) {
                for (size_t i = 0; i < words.size() && !is_found; ++i) {
                  if (words[i] - target >= index.bytes_of(to.block)) continue;
                  is_found = true;
                  from.offset = address + i * sizeof(uint64_t) - start;
                  to.into = words[i] - target;
                }
              });
}

struct Way {
  std::string root;
  std::string_view root_kind;
  std::vector<Step> steps;  // empty: nothing leads there
};

Way find_way(const HeapSession& session, const HeapGraph& heap, uint32_t block) {
  Way way;
  for (const uint32_t step : shortest_path(heap.graph, heap.anchors, block)) {
    way.steps.push_back({step});
  }
  if (way.steps.empty()) return way;
  for (size_t i = 1; i < way.steps.size(); ++i) {
    find_word(session, heap.index, way.steps[i - 1], way.steps[i]);
  }
  // Roots come in the order of how much they tell.
  Step& first = way.steps.front();
  const uint64_t start = heap.index.address_of(first.block);
  const uint64_t last = start + std::max<uint64_t>(heap.index.bytes_of(first.block), 1) - 1;
  heap.roots.for_each(start, last, [&](const inspect::Anchor& anchor) {
    if (!way.root.empty()) return;
    way.root = heap.roots.describe(anchor);
    way.root_kind = root_kind_name(anchor.kind);
    first.into = anchor.word - start;
  });
  return way;
}

std::string json_of(const HeapGraph& heap, uint32_t block, const Way& way) {
  Json json;
  json["block"] = block_json(heap.index, block);
  json["reached"] = !way.steps.empty();
  json["root"] = nullptr;
  if (!way.steps.empty()) json["root"] = {{"root", way.root_kind}, {"where", way.root}};
  json["path"] = Json::array();
  for (size_t i = 0; i < way.steps.size(); ++i) {
    Json step = block_json(heap.index, way.steps[i].block);
    step["into"] = way.steps[i].into;
    if (i + 1 < way.steps.size()) step["offset"] = way.steps[i].offset;
    json["path"].push_back(std::move(step));
  }
  return json_line(json);
}

std::string text_of(const HeapGraph& heap, uint32_t block, const Way& way) {
  if (way.steps.empty()) {
    return fmt::format("nothing leads to the block at {:#x} ({} bytes): it is leaked\n",
                       heap.index.address_of(block), grouped_text(heap.index.bytes_of(block)));
  }
  std::string text = way.root + "\n";
  for (size_t i = 0; i < way.steps.size(); ++i) {
    const Step& step = way.steps[i];
    text += fmt::format("  -> block {:#x} ({} bytes)", heap.index.address_of(step.block),
                        grouped_text(heap.index.bytes_of(step.block)));
    if (step.into != 0) text += fmt::format(", {} bytes into it", step.into);
    if (i + 1 < way.steps.size()) text += fmt::format(", + {}", step.offset);
    text += "\n";
  }
  return text;
}

int run(HeapSession& session, const Arguments& arguments) {
  const auto argument = only_argument(kPathQuestion, arguments);
  if (!argument.has_value()) {
    throw host::Error("path: no address given; as in: tide heap 4711 path 0x7f0012345670",
                      host::kExitUsage);
  }
  const uint64_t address = parse_address("path", *argument);
  const HeapGraph heap(session);
  const uint32_t block = block_at(session, heap.index, "path", address);
  const Way way = find_way(session, heap, block);
  session.progress->finish();
  if (way.steps.empty()) {
    warn_of_missing(session, heap.index.unknown(), heap.graph.missing_bytes(),
                    heap.roots.missing_bytes(), "a way through there is not known");
  }
  print(session.as_json ? json_of(heap, block, way) : text_of(heap, block, way));
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kPathQuestion = {"path", "ADDR", "Why a block is there: a way from a root to it",
                                    "core.4711 path 0x7f0012345670", run};

}  // namespace tide::cli
