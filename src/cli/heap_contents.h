// What the questions about the contents of blocks share.
#pragma once

#include <cstdint>
#include <string>

#include "cli/heap_question.h"

namespace tide::cli {

// The question's own SIZE, as --size; empty: none was given.
void take_size(HeapSession& session, const HeapQuestion& question, const std::string& size);

// Live blocks that are wanted, at most `most` of them, those of the first heap first.
std::vector<walk::Block> first_blocks(const HeapSession& session, size_t most);

std::string hex_text(uint64_t address);                 // "0x7f0012345670"
std::string grouped_text(uint64_t number);              // "12,345,678"
std::string percent_text(uint64_t part, uint64_t all);  // "12.3 %"

}  // namespace tide::cli
