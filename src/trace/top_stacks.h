// The call stacks that matter most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "trace/event_source.h"
#include "trace/summary.h"

namespace tide::trace {

struct StackRow {
  uint32_t stack;
  uint64_t count;
  uint64_t bytes;
};
struct TopStacks {
  std::vector<StackRow> allocated, peak, temporary, leaked;
};
// Those with most bytes, `most` for each question; counts where there are no bytes.
TopStacks top_stacks(const Summary& summary, size_t most);

// The frames of a stack for people, the innermost first.
std::vector<std::string> stack_names(const EventSource& source, uint32_t stack);

}  // namespace tide::trace
