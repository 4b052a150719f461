// `tide heap X examine [SIZE]`: the first words of blocks and what they point to.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/heap_contents.h"
#include "cli/heap_json.h"
#include "cli/heap_questions.h"
#include "host/error.h"
#include "inspect/modules.h"
#include "inspect/pointees.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kUsualBlocks = 20;
constexpr size_t kUsualWords = 2;
constexpr size_t kMostWords = 1 << 16;

// Of what is no pointer: empty.
std::string pointee_text(const HeapSession& session, const inspect::Modules& modules,
                         const inspect::Pointees& pointees, uint64_t word) {
  switch (pointees.of(word)) {
    case inspect::Pointee::kNothing:
      return {};
    case inspect::Pointee::kHeap: {
      const auto block = pointees.live_block(word);
      if (!block.has_value()) return "heap, no live block";
      if (block->address == word) return fmt::format("block of {} bytes", block->bytes);
      return fmt::format("block of {} bytes at {:#x}+{}", block->bytes, block->address,
                         word - block->address);
    }
    case inspect::Pointee::kStack:
      return "stack";
    case inspect::Pointee::kModule:
    case inspect::Pointee::kOther:
      break;
  }
  std::string name = modules.describe(word);
  if (!name.empty()) return name;
  const walk::Segment* const segment = session.target->segment_of(word);
  if (segment == nullptr || segment->file.empty()) return "anonymous memory";
  return fmt::format("{}+{:#x}", segment->file, word - segment->start + segment->offset);
}

int run(HeapSession& session, const Arguments& arguments) {
  VerbParser parser(kHeapCommand, {});
  std::string size;
  size_t words = kUsualWords;
  parser.add_option("SIZE", size);
  parser.add_option("--words", words)->check(CLI::Range(size_t{1}, kMostWords));
  if (!parser.accept(arguments)) return host::kExitOk;
  take_size(session, kExamineQuestion, size);

  const inspect::Modules modules(*session.target);
  const inspect::Pointees pointees(*session.target, session.heaps);
  Json json = {{"target", session.target->name()}, {"blocks", Json::array()}};
  std::string text;
  const size_t most = session.most == 0 ? kUsualBlocks : session.most;
  for (const walk::Block& block : first_blocks(session, most)) {
    Json values = Json::array();
    text = hex_text(block.address) + ":";
    for (size_t i = 0; i < words && (i + 1) * sizeof(uint64_t) <= block.bytes; ++i) {
      const auto word = session.target->load<uint64_t>(block.address + i * sizeof(uint64_t));
      if (!word.has_value()) {
        text += "  (not there)";
        break;
      }
      const std::string pointee = pointee_text(session, modules, pointees, *word);
      text += fmt::format("  {:#x}", *word);
      if (!pointee.empty()) text += fmt::format(" <{}>", host::printable(pointee));
      Json value = {{"value", hex_text(*word)}};
      if (!pointee.empty()) value["points_to"] = pointee;
      values.push_back(std::move(value));
    }
    if (session.as_json) {
      json["blocks"].push_back({{"address", hex_text(block.address)},
                                {"size", block.bytes},
                                {"words", std::move(values)}});
    } else {
      print(text + "\n");
    }
  }
  if (session.as_json) print(json_line(json));
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kExamineQuestion = {
    "examine", "[SIZE]",
    "The first words of blocks and what they point to, as gdb's x/2a; --words N: as many of each",
    "core.4711 examine 64 --words 8", run};

}  // namespace tide::cli
