#include "trace/top_stacks.h"

#include <algorithm>

#include "trace/histogram.h"
#include "trace/stack_table.h"
#include "trace/symbol_table.h"

namespace tide::trace {
namespace {

// `value` says what of a stack counts: {count, bytes}; those with most bytes, then counts.
template <class Value>
std::vector<StackRow> largest(size_t stacks, size_t most, Value value) {
  std::vector<StackRow> rows;
  for (uint32_t stack = 1; stack < stacks; ++stack) {
    const auto [count, bytes] = value(stack);
    if (count != 0) rows.push_back({stack, count, bytes});
  }
  const auto is_more = [](const StackRow& a, const StackRow& b) {
    return a.bytes != b.bytes   ? a.bytes > b.bytes
           : a.count != b.count ? a.count > b.count
                                : a.stack < b.stack;
  };
  const size_t count = std::min(most, rows.size());
  std::partial_sort(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count), rows.end(),
                    is_more);
  rows.resize(count);
  return rows;
}

}  // namespace

TopStacks top_stacks(const Summary& summary, size_t most) {
  using Pair = std::pair<uint64_t, uint64_t>;
  const auto& stacks = summary.stacks();
  const auto of_bins = [&](const std::vector<Histogram::Bin>& bins) {
    return largest(bins.size(), most, [&](uint32_t i) { return Pair{bins[i].count, bins[i].sum}; });
  };
  return {largest(stacks.size(), most,
                  [&](uint32_t i) {
                    return Pair{stacks[i].allocations, stacks[i].allocated_bytes};
                  }),
          of_bins(summary.peak().peak_stacks()),
          largest(stacks.size(), most,
                  [&](uint32_t i) {
                    return Pair{stacks[i].temporary, 0};
                  }),
          of_bins(summary.peak().live_stacks())};
}

std::vector<std::string> stack_names(const EventSource& source, uint32_t stack) {
  const StackTable& stacks = source.stacks();
  std::vector<std::string> names;
  for (; stack != 0 && stack < stacks.size(); stack = stacks.caller(stack)) {
    for (std::string& name : source.symbols().names(stacks.frame(stack), true)) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

}  // namespace tide::trace
