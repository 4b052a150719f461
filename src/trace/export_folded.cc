#include "trace/export_folded.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "host/error.h"
#include "trace/stack_table.h"
#include "trace/symbol_table.h"

namespace tide::trace {
namespace {

// The outermost first.
std::string folded(const EventSource& source, uint32_t stack) {
  std::vector<std::string> names;
  for (; stack != 0; stack = source.stacks().caller(stack)) {
    for (std::string& name : source.symbols().names(source.stacks().frame(stack), false)) {
      std::replace(name.begin(), name.end(), ';', ':');
      std::replace(name.begin(), name.end(), '\n', ' ');
      names.push_back(std::move(name));
    }
  }
  std::string line;
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    if (!line.empty()) line += ';';
    line += *name;
  }
  return line;
}

}  // namespace

void FoldedExporter::finish(const EventSource& source) {
  const std::vector<StackFigures>& figures = summary_.stacks();
  if (source.stacks().size() <= 1) {
    throw host::Error("nothing to fold: the trace has no call stacks (tide trace --stacks)");
  }
  const std::vector<Histogram::Bin> live =
      value_ == StackValue::kPeak ? summary_.peak().peak_stacks() : summary_.peak().live_stacks();
  const auto value = [&](uint32_t stack) -> uint64_t {
    switch (value_) {
      case StackValue::kAllocated:
        return stack < figures.size() ? figures[stack].allocated_bytes : 0;
      case StackValue::kCalls:
        return stack < figures.size() ? figures[stack].allocations : 0;
      case StackValue::kTemporary:
        return stack < figures.size() ? figures[stack].temporary : 0;
      default:
        return stack < live.size() ? live[stack].sum : 0;
    }
  };
  // Different addresses may be one function.
  std::map<std::string, uint64_t> lines;
  for (uint32_t stack = 1; stack < source.stacks().size(); ++stack) {
    if (const uint64_t cost = value(stack); cost != 0) lines[folded(source, stack)] += cost;
  }
  for (const auto& [line, cost] : lines) file_.write(fmt::format("{} {}\n", line, cost));
  file_.close();
}

}  // namespace tide::trace
