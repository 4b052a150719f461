// What the questions about the contents of blocks share.
#pragma once

#include <cstdint>
#include <string>

#include "cli/heap_question.h"
#include "inspect/survey.h"

namespace tide::cli {

// The question's own SIZE: blocks that malloc would give for it are wanted. Empty: none was given.
void take_size(HeapSession& session, const HeapQuestion& question, const std::string& size);

// To the sizes that are wanted; with `is_for_all` every block is looked at, however many there are.
// `options` holds on to the session.
void limit_survey(const HeapSession& session, bool is_for_all, inspect::SurveyOptions& options);

// Live blocks that are wanted, at most `most` of them, those of the first heap first.
std::vector<walk::Block> first_blocks(const HeapSession& session, size_t most);

std::string hex_text(uint64_t address);                 // "0x7f0012345670"
std::string grouped_text(uint64_t number);              // "12,345,678"
std::string percent_text(uint64_t part, uint64_t all);  // "12.3 %"

}  // namespace tide::cli
