#include "replay/survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/error.h"

namespace tide::replay {
namespace {

// Recorded time is counted in at most so many bins.
constexpr size_t kBins = size_t{1} << 16;
// A window has at most about so many operations, and so much of the peak is allocated in it: what
// can live together by chance alone.
constexpr double kOperations = 8'000;
constexpr double kShareOfPeak = 0.01;
constexpr size_t kMostWindows = 20'000;
// Threads wait for each other at the end of each window: it must be worth it.
constexpr uint64_t kLeastOperations = 400;

struct Bin {
  double work = 0;
  int64_t live_bytes = 0;  // that come to live in it, less those that go
};

// Goes through the operations, each thread as far as it can without another: the sizes of blocks
// that go are known then, whoever allocated them.
class Pass {
 public:
  Pass(const WorkloadReader& workload, Survey& survey, std::vector<Bin>& bins, unsigned shift,
       const std::function<void(uint64_t)>& progress)
      : workload_(workload),
        survey_(survey),
        bins_(bins),
        shift_(shift),
        byte_work_(1 / (std::max<double>(1.0, static_cast<double>(workload.head().peak_bytes)) *
                        kShareOfPeak)),
        progress_(progress),
        sizes_(workload.head().slots) {
    for (size_t i = 0; i < workload.threads().size(); ++i) {
      threads_.push_back({workload.operations(i), {}});
      advance(threads_.back());
    }
  }

  void run() {
    for (uint32_t thread = 0; thread < threads_.size(); ++thread) {
      chain_ = {{thread, UINT64_MAX}};
      while (!chain_.empty()) follow(chain_.back());
    }
  }

 private:
  struct Thread {
    WorkloadReader::Operations operations;
    format::WorkloadOperation next;
    bool has_next = false;
    bool is_in_chain = false;
    uint64_t time = 0;
    uint64_t done = 0;
  };
  // A thread that is to have done so many operations.
  struct Link {
    uint32_t thread;
    uint64_t operations;
  };

  void advance(Thread& thread) {
    thread.has_next = thread.operations.next(thread.next);
    if (thread.has_next) thread.time += thread.next.delta_ns;
  }

  void follow(const Link link) {
    Thread& thread = threads_[link.thread];
    thread.is_in_chain = true;
    while (thread.has_next && thread.done < link.operations) {
      const uint32_t other = thread.next.wait_thread;
      if (other != format::WorkloadOperation::kNone &&
          threads_[other].done < thread.next.wait_operations && threads_[other].has_next) {
        if (threads_[other].is_in_chain) {
          throw host::Error(
              fmt::format("'{}' is damaged: threads of it wait for each other", workload_.path()));
        }
        chain_.push_back({other, thread.next.wait_operations});
        return;
      }
      count(thread.next, bins_[std::min<uint64_t>(thread.time >> shift_, bins_.size() - 1)]);
      ++thread.done;
      advance(thread);
    }
    thread.is_in_chain = false;
    chain_.pop_back();
  }

  void count(const format::WorkloadOperation& operation, Bin& bin) {
    constexpr uint64_t kReportEvery = 1 << 20;
    ++survey_.calls[static_cast<size_t>(operation.call)];
    bin.work += 1 / kOperations + static_cast<double>(operation.size) * byte_work_;
    if (operation.slot != format::WorkloadOperation::kNone) {
      uint64_t& size = sizes_[operation.slot];
      const bool is_release = format::releases(operation.call);
      if (is_release || operation.has_old_block) bin.live_bytes -= static_cast<int64_t>(size);
      size = is_release ? 0 : operation.size;
      bin.live_bytes += static_cast<int64_t>(size);
    }
    if (++done_ % kReportEvery == 0) progress_(done_);
  }

  const WorkloadReader& workload_;
  Survey& survey_;
  std::vector<Bin>& bins_;
  const unsigned shift_;
  const double byte_work_;
  const std::function<void(uint64_t)>& progress_;
  std::vector<uint64_t> sizes_;  // by slot
  std::vector<Thread> threads_;
  std::vector<Link> chain_;  // each waits for the one behind it
  uint64_t done_ = 0;
};

}  // namespace

Survey survey(const WorkloadReader& workload, const std::function<void(uint64_t)>& progress) {
  Survey result;
  const format::WorkloadHead& head = workload.head();
  unsigned shift = 0;
  while (head.duration_ns >> shift >= kBins) ++shift;
  std::vector<Bin> bins((head.duration_ns >> shift) + 1);
  Pass(workload, result, bins, shift, progress).run();

  double total = 0;
  for (const Bin& bin : bins) total += bin.work;
  const auto most = std::min<size_t>(kMostWindows, head.operations / kLeastOperations + 1);
  const auto windows = std::clamp<size_t>(static_cast<size_t>(std::ceil(total)), 1, most);
  const double each = total / static_cast<double>(windows);
  double filled = 0;
  int64_t live_bytes = 0;
  for (size_t bin = 0; bin + 1 < bins.size(); ++bin) {
    filled += bins[bin].work;
    live_bytes += bins[bin].live_bytes;
    if (filled < each) continue;
    filled -= each;
    if (filled > each) filled = 0;  // the bin is more than a window by itself
    result.window_ends.push_back((uint64_t{bin} + 1) << shift);
    result.window_live.push_back(live_bytes);
    live_bytes = 0;
  }
  result.window_ends.push_back(UINT64_MAX);
  result.window_live.push_back(live_bytes + bins.back().live_bytes);
  return result;
}

uint32_t window_of(const std::vector<uint64_t>& ends, uint64_t time) {
  return static_cast<uint32_t>(std::upper_bound(ends.begin(), ends.end(), time) - ends.begin());
}

}  // namespace tide::replay
