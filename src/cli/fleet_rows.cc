#include "cli/fleet_rows.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <map>
#include <vector>

#include "host/proc.h"
#include "profile/costs.h"

namespace tide::cli {
namespace {

using fleet::Cell;
using fleet::TableId;

int64_t whole(double value) { return std::llround(value); }
int64_t whole(uint64_t value) { return static_cast<int64_t>(value); }

std::vector<Cell> labelled(const FleetLabels& labels, uint64_t time_ns) {
  return {whole(time_ns), labels.host,      labels.service, labels.version,
          labels.command, labels.container, labels.process};
}

// Sums over sampled stacks that are one for people.
struct StackSums {
  double live_bytes = 0;
  double live_variance = 0;
  double live_blocks = 0;
  double allocated_bytes = 0;
  double allocated_blocks = 0;
  double peak_bytes = 0;
  uint64_t samples = 0;
  double freed_bytes = 0;
  double freed_blocks = 0;
  double lifetime_ns = 0;
  double pinned_bytes = 0;
  double resident_bytes = 0;
  double swapped_bytes = 0;
  double absent_bytes = 0;
};

}  // namespace

std::string host_name() {
  utsname names{};
  return uname(&names) == 0 ? names.nodename : "localhost";
}

uint64_t now_since_1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

void add_host(const std::string& host, fleet::Batch& batch) {
  utsname names{};
  uname(&names);
  const int64_t pages = sysconf(_SC_PHYS_PAGES);
  batch.rows(TableId::kHosts)
      .add({host, std::string(names.release), int64_t{sysconf(_SC_NPROCESSORS_ONLN)},
            pages * sysconf(_SC_PAGESIZE), whole(now_since_1970())});
}

void add_statistics(const FleetLabels& labels, uint64_t time_ns, uint64_t rss_bytes,
                    const tide_stats& totals, fleet::Batch& batch) {
  std::vector<Cell> cells = labelled(labels, time_ns);
  cells.emplace_back(whole(rss_bytes));
#define TIDE_FIGURE(field, metric, meaning) cells.emplace_back(whole(totals.field));
#include "layout/figures.def"
#undef TIDE_FIGURE
  batch.rows(TableId::kStatistics).add(std::move(cells));
}

void add_size_class(const FleetLabels& labels, uint64_t time_ns, const tide_class_stats& entry,
                    fleet::Batch& batch) {
  std::vector<Cell> cells = labelled(labels, time_ns);
  for (const uint64_t value : {entry.block_bytes, entry.slabs, entry.live_blocks,
                               entry.cached_blocks, entry.free_blocks}) {
    cells.emplace_back(whole(value));
  }
  batch.rows(TableId::kSizeClasses).add(std::move(cells));
}

int64_t add_stack(const std::vector<std::string>& functions, fleet::Batch& batch) {
  std::string text;
  for (const std::string& function : functions) text += function + '\n';
  const int64_t stack = fleet::number_of(text);
  batch.rows(TableId::kStacks)
      .add({stack, functions.empty() ? std::string("(unknown)") : functions.front(),
            static_cast<int64_t>(functions.size())});
  for (size_t i = 0; i < functions.size(); ++i) {
    batch.rows(TableId::kFrames).add({stack, static_cast<int64_t>(i), functions[i]});
  }
  return stack;
}

void add_profile(const FleetLabels& labels, uint64_t time_ns, const profile::Profile& profile,
                 profile::Names& names, fleet::Batch& batch) {
  using profile::Kind;
  std::map<std::vector<std::string>, StackSums> sums;
  const profile::Costs pins(profile, Kind::kFragmentation);
  const profile::Costs resident(profile, Kind::kResidency);
  for (size_t at = 0; at < profile.stacks.size(); ++at) {
    const layout::SampledStack& stack = profile.stacks[at];
    std::vector<std::string> functions;
    for (uint32_t i = 0; i < stack.frame_count; ++i) {
      for (const host::SourcePlace& place : names.places(profile.frames[stack.first_frame + i])) {
        functions.push_back(place.function);
      }
    }
    StackSums& sum = sums[std::move(functions)];
    sum.live_bytes += stack.live.bytes;
    sum.live_variance += stack.live.bytes_variance;
    sum.live_blocks += stack.live.count;
    sum.allocated_bytes += stack.allocated.bytes;
    sum.allocated_blocks += stack.allocated.count;
    sum.peak_bytes += stack.peak.bytes;
    sum.samples += stack.samples;
    sum.freed_bytes += stack.freed.bytes;
    sum.freed_blocks += stack.freed.count;
    sum.lifetime_ns += stack.lifetime_ns;
    sum.pinned_bytes += profile.has_pins ? pins[at].bytes : 0;
    sum.resident_bytes += resident[at].bytes;
    sum.swapped_bytes += resident[at].swapped;
    sum.absent_bytes += resident[at].absent;
  }
  const int64_t pages = profile.has_pins ? 2 : profile.has_pages ? 1 : 0;
  for (const auto& [functions, sum] : sums) {
    std::vector<Cell> cells = labelled(labels, time_ns);
    cells.emplace_back(add_stack(functions, batch));
    cells.emplace_back(whole(sum.live_bytes));
    cells.emplace_back(whole(std::sqrt(std::max(0.0, sum.live_variance))));
    cells.emplace_back(whole(sum.live_blocks));
    cells.emplace_back(whole(sum.allocated_bytes));
    cells.emplace_back(whole(sum.allocated_blocks));
    cells.emplace_back(whole(sum.peak_bytes));
    cells.emplace_back(whole(sum.samples));
    cells.emplace_back(whole(sum.freed_bytes));
    cells.emplace_back(whole(sum.freed_blocks));
    cells.emplace_back(whole(sum.lifetime_ns));
    cells.emplace_back(pages);
    for (const double bytes :
         {sum.pinned_bytes, sum.resident_bytes, sum.swapped_bytes, sum.absent_bytes}) {
      cells.emplace_back(whole(bytes));
    }
    batch.rows(TableId::kProfiles).add(std::move(cells));
  }
}

}  // namespace tide::cli
