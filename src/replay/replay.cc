#include "replay/replay.h"

#include <fmt/format.h>

#include <algorithm>

namespace tide::replay {
namespace {

// What is left when the player's own part is taken off.
uint64_t without(uint64_t all, uint64_t part) { return all > part ? all - part : 0; }

class ComparisonRun {
 public:
  ComparisonRun(const WorkloadReader& workload, const Survey& survey, const Plan& plan,
                const std::function<void(const std::string&, double)>& progress)
      : workload_(workload),
        plan_(plan),
        progress_(progress),
        passes_(workload, survey, plan.settings),
        all_operations_(std::max<double>(
            1.0, static_cast<double>(workload.head().operations) * plan.settings.copies)),
        kept_(plan.allocators.size()),
        latencies_(plan.allocators.size()) {
    const size_t each = plan.repetitions * (plan.measures_latency ? 2 : 1) +
                        (plan.measures_system_calls ? 1 : 0) + (plan.measures_pages ? 1 : 0);
    pass_count_ =
        plan.repetitions + plan.allocators.size() * each + (plan.measures_system_calls ? 1 : 0);
    result_.limit_by = passes_.limit_by();
    result_.why_no_group = passes_.why_no_group();
    for (const Allocator& one : plan.allocators) result_.runs.emplace_back().allocator = one;
  }

  ReplayResult run() {
    for (uint32_t repetition = 0; repetition < plan_.repetitions; ++repetition) {
      play_null();
      // Another one begins each time: none always runs after the same.
      for (size_t i = 0; i < result_.runs.size(); ++i) {
        const size_t index = (i + repetition) % result_.runs.size();
        play_plain(index);
        if (plan_.measures_latency) play_timed(index);
      }
    }
    if (plan_.measures_system_calls) count_system_calls();
    for (size_t i = 0; i < result_.runs.size(); ++i) finish(i);
    return std::move(result_);
  }

 private:
  PassResult play(const Allocator& allocator, const std::string& what, PassKind kind,
                  uint64_t stop_at_ns = 0) {
    const auto report = [&](uint64_t done) {
      const double share = static_cast<double>(done) / all_operations_;
      progress_(what,
                (static_cast<double>(passes_done_) + share) / static_cast<double>(pass_count_));
    };
    report(0);
    PassResult pass = passes_.run(allocator, kind, stop_at_ns, report);
    ++passes_done_;
    return pass;
  }

  void play_null() {
    const PassResult pass = play({}, "calibrating", PassKind::kNull);
    if (!pass.is_ok()) return;
    HarnessCost& cost = result_.harness;
    cost.cpu_ns.add(pass.cpu_ns);
    cost.wall_ns.add(pass.wall_ns);
    cost.decode_ns.add(pass.decode_ns);
    cost.rss_bytes = without(pass.peak_rss, pass.harness_bytes);
    // Not the most: threads that begin reserve memory of the C library's malloc.
    cost.vm_bytes = pass.program_vm_bytes;
  }

  // False: nothing further is done with this allocator.
  bool accept(AllocatorResult& run, const PassResult& pass) {
    if (run.said.empty()) run.said = pass.said;
    if (pass.is_ok()) return true;
    run.status = pass.status;
    run.calls = pass.calls;
    return false;
  }

  void play_plain(size_t index) {
    AllocatorResult& run = result_.runs[index];
    if (!run.is_ok()) return void(++passes_done_);
    PassResult pass = play(run.allocator, run.allocator.label, PassKind::kPlain);
    // The timeline of a failed one says how it came to that.
    const bool is_ok = accept(run, pass);
    kept_[index].push_back(std::move(pass));
    if (!is_ok) return;
    const PassResult& kept = kept_[index].back();
    run.calls = kept.calls;
    run.live_curve_equal &= kept.live_curve_equal;
    run.live_blocks_at_end = kept.live_blocks;
    run.live_bytes_at_end = kept.live_bytes;
  }

  void play_timed(size_t index) {
    AllocatorResult& run = result_.runs[index];
    if (!run.is_ok()) return void(++passes_done_);
    const PassResult pass =
        play(run.allocator, run.allocator.label + ": latency", PassKind::kLatency);
    if (!accept(run, pass)) return;
    const Percentiles all = percentiles(pass.latencies, pass.ns_per_tick);
    run.figure(FigureId::kP50).add(all.p50_ns);
    run.figure(FigureId::kP99).add(all.p99_ns);
    run.figure(FigureId::kP999).add(all.p999_ns);
    run.figure(FigureId::kLongest).add(all.longest_ns);
    add_latencies(latencies_[index], pass.latencies);
    ns_per_tick_ = pass.ns_per_tick;
  }

  void count_system_calls() {
    // Threads begin and end in the player, too.
    const PassResult own = play({}, "counting system calls", PassKind::kNullSystemCalls);
    for (AllocatorResult& run : result_.runs) {
      if (!run.is_ok()) {
        ++passes_done_;
        continue;
      }
      PassResult pass =
          play(run.allocator, run.allocator.label + ": system calls", PassKind::kSystemCalls);
      if (!accept(run, pass) || !pass.system_calls || !own.system_calls) continue;
      for (const auto& [name, count] : *own.system_calls) {
        const auto found = pass.system_calls->find(name);
        if (found == pass.system_calls->end()) continue;
        found->second = without(found->second, count);
        if (found->second == 0) pass.system_calls->erase(found);
      }
      run.system_calls = std::move(pass.system_calls);
    }
  }

  // When most was live, as the first good repetition of any allocator went.
  uint64_t time_of_peak() const {
    for (const auto& passes : kept_) {
      for (const PassResult& pass : passes) {
        if (!pass.is_ok() || pass.timeline.empty()) continue;
        return std::max_element(
                   pass.timeline.begin(), pass.timeline.end(),
                   [](const Sample& a, const Sample& b) { return a.live_bytes < b.live_bytes; })
            ->time_ns;
      }
    }
    return workload_.head().duration_ns;
  }

  void finish(size_t index) {
    AllocatorResult& run = result_.runs[index];
    const double live = static_cast<double>(workload_.head().peak_bytes) * plan_.settings.copies;
    const double harness_cpu = result_.harness.cpu_ns.median();
    for (const PassResult& pass : kept_[index]) {
      if (!pass.is_ok()) continue;
      run.figure(FigureId::kWall).add(pass.wall_ns);
      run.figure(FigureId::kCpu).add(pass.cpu_ns);
      if (!result_.harness.cpu_ns.is_empty()) {
        run.figure(FigureId::kAllocator).add(std::max(0.0, pass.cpu_ns - harness_cpu));
      }
      if (pass.wall_ns > 0) {
        run.figure(FigureId::kCallsPerSecond)
            .add(static_cast<double>(pass.operations) * 1e9 / pass.wall_ns);
        run.figure(FigureId::kParallelism).add(pass.cpu_ns / pass.wall_ns);
      }
      const auto rss = static_cast<double>(most_rss(pass));
      run.figure(FigureId::kRssMax).add(rss);
      run.figure(FigureId::kVmMax)
          .add(static_cast<double>(
              without(pass.peak_vm, pass.harness_vm_bytes + result_.harness.vm_bytes)));
      if (live > 0) run.figure(FigureId::kRssOverLive).add(rss / live);
      run.figure(FigureId::kMinorFaults).add(static_cast<double>(pass.minor_faults));
      run.figure(FigureId::kMajorFaults).add(static_cast<double>(pass.major_faults));
      run.figure(FigureId::kHarness).add(static_cast<double>(pass.harness_bytes));
    }
    run.latencies = latency_rows(latencies_[index], ns_per_tick_);
    keep_timeline(index);
    if (plan_.measures_pages && run.is_ok()) count_pages(run);
  }

  uint64_t most_rss(const PassResult& pass) const {
    uint64_t most = without(pass.peak_rss, pass.harness_bytes);
    for (const Sample& sample : pass.timeline) {
      most = std::max(most, without(sample.rss_bytes, sample.harness_bytes));
    }
    return without(most, result_.harness.rss_bytes);
  }

  void keep_timeline(size_t index) {
    const std::vector<PassResult>& passes = kept_[index];
    if (passes.empty()) return;
    std::vector<size_t> order(passes.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return most_rss(passes[a]) < most_rss(passes[b]); });
    for (const Sample& sample : passes[order[(order.size() - 1) / 2]].timeline) {
      result_.runs[index].timeline.push_back(
          {sample.time_ns, sample.live_bytes,
           without(sample.rss_bytes, sample.harness_bytes + result_.harness.rss_bytes),
           without(sample.vm_bytes, sample.harness_vm_bytes + result_.harness.vm_bytes)});
    }
  }

  void count_pages(AllocatorResult& run) {
    const PassResult pass =
        play(run.allocator, run.allocator.label + ": pages", PassKind::kPages, time_of_peak());
    if (!accept(run, pass) || pass.live_at_stop == 0) return;
    run.figure(FigureId::kPageFloorOverLive)
        .add(static_cast<double>(pass.live_pages) * kPageBytes /
             static_cast<double>(pass.live_at_stop));
  }

  static constexpr double kPageBytes = 4096;

  const WorkloadReader& workload_;
  const Plan& plan_;
  const std::function<void(const std::string&, double)>& progress_;
  const Passes passes_;
  const double all_operations_;
  size_t pass_count_ = 0;
  size_t passes_done_ = 0;
  double ns_per_tick_ = 0;
  std::vector<std::vector<PassResult>> kept_;  // by allocator
  std::vector<std::vector<LatencyBand>> latencies_;
  ReplayResult result_;
};

}  // namespace

ReplayResult replay(const WorkloadReader& workload, const Survey& survey, const Plan& plan,
                    const std::function<void(const std::string&, double)>& progress) {
  return ComparisonRun(workload, survey, plan, progress).run();
}

}  // namespace tide::replay
