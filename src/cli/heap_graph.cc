#include "cli/heap_graph.h"

#include <fmt/format.h>

#include "host/error.h"

namespace tide::cli {

namespace {

// Says what is made next, and hands on what it is made of.
const HeapSession& begin(const HeapSession& session, std::string_view part, uint64_t bytes = 0) {
  session.progress->begin(part, host::Progress::Unit::kBytes, bytes);
  return session;
}

}  // namespace

HeapGraph::HeapGraph(const HeapSession& session)
    : index(begin(session, "finding blocks").heaps),
      roots(*session.target, session.heaps),
      graph(*begin(session, "reading references", index.live_bytes()).target, index),
      anchors(inspect::anchored_blocks(roots, index)) {
  session.progress->begin("following references");
}

uint32_t block_at(const HeapSession& session, const inspect::BlockIndex& index,
                  std::string_view question, uint64_t address) {
  const uint32_t block = index.find(address);
  if (block != inspect::BlockIndex::kNone) return block;
  std::string what = "it is in no heap";
  for (const auto& heap : session.heaps) {
    const auto place = heap->find(address);
    if (place.has_value())
      what = fmt::format("what is there is {}", walk::state_name(place->state));
  }
  throw host::Error(
      fmt::format("{}: there is no live block at {:#x}: {}; see: tide heap ... info "
                  "{:#x}",
                  question, address, what, address));
}

void warn_of_missing(const HeapSession& session, const walk::Unknown& unknown, uint64_t block_bytes,
                     uint64_t root_bytes, std::string_view meaning) {
  if (unknown.parts == 0 && block_bytes == 0 && root_bytes == 0) return;
  std::vector<std::string> parts;
  if (unknown.parts != 0) {
    parts.push_back(fmt::format("blocks in {} bytes of the heap ({})", grouped_text(unknown.bytes),
                                unknown.reason));
  }
  if (block_bytes != 0) {
    parts.push_back(fmt::format(
        "{} bytes of blocks' contents{}", grouped_text(block_bytes),
        session.target->cut_bytes() == 0 ? " (never written to, or left out of it)" : ""));
  }
  if (root_bytes != 0) {
    parts.push_back(fmt::format("{} bytes of stacks, data and mappings", grouped_text(root_bytes)));
  }
  fmt::print(stderr, "tide heap: {} lacks {}: {}\n", session.target->name(),
             fmt::join(parts, " and "), meaning);
}

nlohmann::ordered_json block_json(const inspect::BlockIndex& index, uint32_t block) {
  return {{"address", hex_text(index.address_of(block))}, {"size", index.bytes_of(block)}};
}

}  // namespace tide::cli
