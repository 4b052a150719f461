// All writable memory of a target, word by word, on all CPUs.
#pragma once

#include <cstdint>
#include <functional>

#include "inspect/word_reader.h"
#include "walk/target.h"

namespace tide::inspect {

// Bytes that scan_memory() would read.
uint64_t bytes_to_scan(const walk::Target& target);

// look(address, words) for all of it in views that overlap by `more_words`, so that a pattern of as
// many is in one of them whole; some threads call it at once.
void scan_memory(const walk::Target& target, size_t more_words,
                 const std::function<void(uint64_t address, const Words& words)>& look);

}  // namespace tide::inspect
