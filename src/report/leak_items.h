// What of a process or core nothing leads to any more: as a plot and tables of its section.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "inspect/contents.h"
#include "report/parts.h"
#include "walk/heap.h"

namespace tide::report {

// Reads every block and every root. Adds facts, a sentence, and items to `section`.
void add_leaks(Section& section, const walk::Target& target,
               std::span<const std::unique_ptr<walk::Heap>> heaps, inspect::Contents& contents);

}  // namespace tide::report
