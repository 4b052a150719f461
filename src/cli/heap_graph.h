// What refs, path, leaks and retained share: the graph of a session's blocks, and how a block is
// shown.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/heap_contents.h"
#include "cli/heap_question.h"
#include "inspect/block_index.h"
#include "inspect/reference_graph.h"
#include "inspect/references.h"
#include "inspect/roots.h"

namespace tide::cli {

// All blocks, the references between them, and the blocks that roots point to.
struct HeapGraph {
  explicit HeapGraph(const HeapSession& session);

  inspect::BlockIndex index;
  inspect::Roots roots;
  inspect::ReferenceGraph graph;
  std::vector<uint32_t> anchors;
};

// The block that `address` is in. Throws host::Error: there is none.
uint32_t block_at(const HeapSession& session, const inspect::BlockIndex& index,
                  std::string_view question, uint64_t address);

// One line on standard error when blocks could not be found or read, or roots could not: `meaning`
// says what that does to the answer.
void warn_of_missing(const HeapSession& session, const walk::Unknown& unknown, uint64_t block_bytes,
                     uint64_t root_bytes, std::string_view meaning);

// {"address": "0x...", "size": ...}.
nlohmann::ordered_json block_json(const inspect::BlockIndex& index, uint32_t block);

}  // namespace tide::cli
