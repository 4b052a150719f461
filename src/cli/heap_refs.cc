// `tide heap X refs ADDR`: who points to a block, and what it points to.

#include <fmt/format.h>
#include <unistd.h>

#include "cli/heap_graph.h"
#include "cli/heap_json.h"
#include "cli/heap_question.h"
#include "cli/heap_questions.h"
#include "host/error.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using inspect::Anchor;
using inspect::BlockIndex;
using inspect::Reference;
using inspect::References;

constexpr size_t kRowsForPeople = 20;
constexpr size_t kRowsForPrograms = 100'000;

// A root's word that points into the block.
struct RootReference {
  Anchor anchor;
  uint64_t into;
};

struct Answer {
  walk::Place block;  // live or not: what still points to a freed one is worth knowing
  std::vector<RootReference> roots;
  uint64_t roots_count = 0;
  References in;
  References out;
};

walk::Place place_at(const HeapSession& session, uint64_t address) {
  for (const auto& heap : session.heaps) {
    const auto place = heap->find(address);
    if (place.has_value() && place->bytes != 0) return *place;
  }
  throw host::Error(
      fmt::format("refs: {:#x} is in no block; see: tide heap ... info {:#x}", address, address));
}

Answer find_answer(const HeapSession& session, const BlockIndex& index, const inspect::Roots& roots,
                   uint64_t address, size_t most) {
  Answer answer;
  answer.block = place_at(session, address);
  const uint64_t start = answer.block.address;
  const walk::Range range{start, start + answer.block.bytes};
  roots.for_each(range.start, range.end - 1, [&](const Anchor& anchor) {
    ++answer.roots_count;
    if (answer.roots.size() < most) answer.roots.push_back({anchor, anchor.word - start});
  });
  answer.in = references_to(*session.target, index, range, most);
  answer.out = references_from(*session.target, index, range, most);
  return answer;
}

Json reference_json(const BlockIndex& index, const Reference& reference) {
  Json json = block_json(index, reference.block);
  json["offset"] = reference.offset;
  json["into"] = reference.into;
  return json;
}

std::string json_of(const BlockIndex& index, const inspect::Roots& roots, const Answer& answer) {
  Json json;
  json["block"] = {{"address", hex_text(answer.block.address)},
                   {"size", answer.block.bytes},
                   {"state", walk::state_name(answer.block.state)}};
  json["in"] = Json::array();
  for (const RootReference& root : answer.roots) {
    Json entry = {{"root", root_kind_name(root.anchor.kind)},
                  {"where", roots.describe(root.anchor)}};
    if (root.anchor.kind != inspect::RootKind::kRegister) {
      entry["address"] = hex_text(root.anchor.address);
    }
    entry["into"] = root.into;
    json["in"].push_back(std::move(entry));
  }
  for (const Reference& in : answer.in.first) json["in"].push_back(reference_json(index, in));
  json["out"] = Json::array();
  for (const Reference& out : answer.out.first) json["out"].push_back(reference_json(index, out));
  json["in_count"] = answer.roots_count + answer.in.count;
  json["out_count"] = answer.out.count;
  return json_line(json);
}

std::string target_text(uint64_t into) {
  return into == 0 ? "its start" : fmt::format("{} bytes into it", grouped_text(into));
}

std::string more_text(uint64_t count, size_t shown) {
  if (count <= shown) return {};
  return fmt::format("  and {} more; --top N shows more of them\n", grouped_text(count - shown));
}

std::string text_of(const BlockIndex& index, const inspect::Roots& roots, const Answer& answer) {
  std::string text =
      fmt::format("{:#x}: {} block of {} bytes\n\n", answer.block.address,
                  walk::state_name(answer.block.state), grouped_text(answer.block.bytes));
  const uint64_t in_count = answer.roots_count + answer.in.count;
  text += in_count == 0 ? "nothing points to it\n"
                        : fmt::format("{} point{} to it:\n", grouped_text(in_count),
                                      in_count == 1 ? "s" : "");
  for (const RootReference& root : answer.roots) {
    text += fmt::format("  {}: to {}\n", roots.describe(root.anchor), target_text(root.into));
  }
  text += more_text(answer.roots_count, answer.roots.size());
  for (const Reference& in : answer.in.first) {
    text += fmt::format("  block {:#x} ({} bytes) + {}: to {}\n", index.address_of(in.block),
                        grouped_text(index.bytes_of(in.block)), in.offset, target_text(in.into));
  }
  text += more_text(answer.in.count, answer.in.first.size());
  text += answer.out.count == 0
              ? "\nit points to no block\n"
              : fmt::format("\nit points to {}:\n", grouped_text(answer.out.count));
  for (const Reference& out : answer.out.first) {
    text += fmt::format("  + {}: to block {:#x} ({} bytes), {}\n", out.offset,
                        index.address_of(out.block), grouped_text(index.bytes_of(out.block)),
                        target_text(out.into));
  }
  return text + more_text(answer.out.count, answer.out.first.size());
}

int run(HeapSession& session, const Arguments& arguments) {
  const auto argument = only_argument(kRefsQuestion, arguments);
  if (!argument.has_value()) {
    throw host::Error("refs: no address given; as in: tide heap 4711 refs 0x7f0012345670",
                      host::kExitUsage);
  }
  const uint64_t address = parse_address("refs", *argument);
  const size_t most = session.most != 0 ? session.most
                      : session.as_json ? kRowsForPrograms
                                        : kRowsForPeople;
  const BlockIndex index(session.heaps);
  const inspect::Roots roots(*session.target, session.heaps);
  const Answer answer = find_answer(session, index, roots, address, most);
  warn_of_missing(session, index.unknown(), answer.in.missing_bytes, roots.missing_bytes(),
                  "references from there are not known");
  print(session.as_json ? json_of(index, roots, answer) : text_of(index, roots, answer));
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kRefsQuestion = {"refs", "ADDR", "Who points to a block, and what it points to",
                                    "4711 refs 0x7f0012345670", run};

}  // namespace tide::cli
