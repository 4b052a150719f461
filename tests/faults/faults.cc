// Makes each memory call of the allocator fail in turn, in every workload and setting, and checks
// that nothing is lost.
//
//   faults [--quick] [--seconds N] [--seed N] [--setting NAME] [--workload NAME] [--sites]
//          [--first K --count N --kinds BITS --error NUMBER --site KEY --site-error NUMBER]
//
// A run is a child that starts the allocator, does a workload (workloads.cc) while some calls fail,
// and then, on a system that works again, checks every block, the heap's invariants, that memory is
// to be had, that all of it can be freed, and that no mapping has been forgotten. For each workload
// and setting, with as many calls as a run without faults makes: each call alone, then with the
// four after it, then all from there on; with ENOMEM, EAGAIN, EINVAL, EEXIST and addresses
// elsewhere in turn. --quick takes some of them, --seconds goes on (each call with each error)
// until the time is up. At the end each place that called is made to fail whenever it calls, in the
// last run in which it did, with the faults that had brought it there: one that never
// failed is a failure of the test. --sites shows them, and how many calls failed. With --first one
// run only.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <vector>

#include "tests/faults/blocks.h"
#include "tests/faults/injector.h"
#include "tests/faults/site_table.h"
#include "tests/faults/workloads.h"
#include "tests/stress/calls.h"

namespace tide::faults {
namespace {

constexpr unsigned kMostSeconds = 60;  // of a run: longer is a hang

// Environment of the allocator, which a child reads anew.
struct Setting {
  const char* name;
  const char* options;
  bool exact;  // blocks that were freed are free at once
};
#if TIDE_STRESS_ENGINE
constexpr Setting kSettings[] = {
    {"default", "background=off", true},
    {"background", "background=on,purge_delay=8ms", true},
    {"no-cache", "background=off,thread_cache=0,huge_cache=0", true},
    {"lazy", "background=off,purge_advice=free,huge_threshold=1m", true},
    {"limit", "background=off,limit_hard=400m,limit_soft=20m", true},
    {"huge-pages", "background=off,huge_growth=1m", true},
    {"guards", "background=off,guard_rate=3", true},
    {"harden-1", "background=off,harden=1", true},
    {"harden-2", "background=off,harden=2", false},
    {"harden-3", "background=off,harden=3", false},
};
#else
// Started with the program, before main: its environment decides.
constexpr Setting kSettings[] = {{"preload", nullptr, false}};
#endif

struct Outcome {
  uint64_t calls;
  uint64_t faults;
  size_t forgotten;  // bytes mapped that the allocator does not count
  uint64_t live_blocks;
};
Outcome* g_outcome = nullptr;

constexpr int kErrors[] = {ENOMEM, EAGAIN, EINVAL, EEXIST, kElsewhere};
constexpr uint32_t kErrorCount = 5;

void check_recovered() {
  take_heart();
  for (const size_t bytes : {1u, 300u, 1024u, 5000u, 65'536u, 200'000u, 3'000'000u, 34'000'000u}) {
    const size_t before = held_blocks();
    take(bytes);
    take_zeroed(bytes);
    if (held_blocks() != before + 2) fail("no memory on a system that works again", nullptr, bytes);
  }
}

struct Run {
  const Setting* setting;
  const Workload* workload;
  Plan plan;
  size_t forgotten;  // bytes, without any fault
};

[[noreturn]] void run_child(const Run& run, uint64_t number) {
  alarm(kMostSeconds);
  if (run.setting->options != nullptr) setenv("TIDE_OPTIONS", run.setting->options, 1);
  arm(run.plan, number);
  run.workload->run();
  g_outcome->calls = calls_made();
  check_all();
  g_outcome->faults = faults_made();
  disarm();
  stress::verify();
  check_recovered();
  drop_all();
  stress::purge();
  stress::verify();
  g_outcome->live_blocks = stress::live_blocks();
  g_outcome->forgotten = mapped_bytes() - stress::mapped_bytes();
  _exit(0);
}

// False: it went wrong, and a line says how.
bool succeeds(const Run& run, uint64_t number) {
  *g_outcome = {};
  const pid_t child = fork();
  if (child == 0) run_child(run, number);
  int status = 0;
  while (waitpid(child, &status, 0) != child) {
  }
  if (status == 0 && (!run.setting->exact || g_outcome->live_blocks == 0)) return true;
  if (status == 0) {
    fprintf(stderr, "faults: %lu blocks are live at the end\n", g_outcome->live_blocks);
  } else if (WIFSIGNALED(status)) {
    fprintf(stderr, "faults: %s\n",
            WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status)));
  }
  return false;
}

struct Options {
  bool quick = false;
  bool sites = false;
  double seconds = 0;
  uint64_t seed = 0;
  const char* setting = nullptr;
  const char* workload = nullptr;
  Plan single = kNoFaults;
};

constexpr uint64_t kToTheEnd = UINT64_MAX / 2;

// How many calls fail from the one on whose turn it is, and about how many such runs a quick test
// has time for.
struct Stretch {
  uint64_t count;
  uint64_t quick_runs;
};
constexpr Stretch kStretches[] = {{1, 3}, {5, 1}, {kToTheEnd, 1}};

class Sweep {
 public:
  explicit Sweep(const Options& options) : options_(options) {}

  bool all() {
    sweep();
    if (options_.single.kinds == 0 && bad_ < kMostBad) each_site();
    return bad_ == 0;
  }

  uint64_t runs() const { return runs_.size(); }
  uint64_t faults() const { return faults_; }
  uint64_t faults_alone() const { return faults_alone_; }
  double elapsed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  void sweep() {
    constexpr size_t kSettingCount = std::size(kSettings);
    const size_t pairs = kSettingCount * kWorkloadCount;
    do {
      for (size_t i = 0; i < pairs; ++i) {
        // Another seed begins elsewhere: not always the same ones when time is short.
        const size_t pair = (i + options_.seed * 37) % pairs;
        const Setting& setting = kSettings[pair / kWorkloadCount];
        const Workload& workload = kWorkloads[pair % kWorkloadCount];
        if (is_left_out(options_.setting, setting.name)) continue;
        if (is_left_out(options_.workload, workload.name)) continue;
        one_pair(setting, workload);
        if (is_over()) return;
      }
      ++round_;
    } while (options_.seconds != 0 && round_ < kErrorCount);
  }

  static bool is_left_out(const char* wanted, const char* name) {
    return wanted != nullptr && strcmp(wanted, name) != 0;
  }
  bool is_over() const {
    return bad_ >= kMostBad || (options_.seconds != 0 && elapsed() > options_.seconds);
  }

  void one_pair(const Setting& setting, const Workload& workload) {
    if (options_.single.kinds != 0) {
      one_run({&setting, &workload, options_.single, SIZE_MAX});
      return;
    }
    const uint64_t bad_before = bad_;
    one_run({&setting, &workload, {0, 0, kAllKinds, 0, {}, 0}, SIZE_MAX});
    if (bad_ != bad_before) return;
    const uint64_t calls = g_outcome->calls;
    const size_t forgotten = g_outcome->forgotten;
    const uint64_t faults_before = faults_;
    const uint64_t runs_before = runs_.size();
    for (const Stretch& stretch : kStretches) {
      const uint64_t stride = options_.quick ? calls / stretch.quick_runs + 1 : 1;
      const uint64_t first = 1 + quick_turn_ * 7 % stride;
      for (uint64_t k = first; k <= calls && !is_over(); k += stride) {
        const int error = kErrors[(k / stride + round_ + options_.seed) % kErrorCount];
        one_run({&setting, &workload, {k, stretch.count, kAllKinds, error, {}, 0}, forgotten});
        if (stretch.count == 1) faults_alone_ += g_outcome->faults;
      }
    }
    for (uint32_t kind = 0; kind < kCalls && !is_over(); ++kind) {
      if (options_.quick && (kind + quick_turn_) % (2 * kCalls) != 0) continue;
      const int error = kErrors[(kind + round_) % kErrorCount];
      one_run({&setting, &workload, {1, kToTheEnd, 1u << kind, error, {}, 0}, forgotten});
    }
    ++quick_turn_;
    printf("%-12s %-12s %6lu calls %7lu runs %9lu faults\n", setting.name, workload.name, calls,
           runs_.size() - runs_before, faults_ - faults_before);
  }

  // Every place that has called, with one error or, where there is time, with each.
  void each_site() {
    const uint64_t runs_before = runs_.size();
    const uint64_t faults_before = faults_;
    const uint32_t errors = options_.quick ? 1 : kErrorCount;
    for (uint32_t i = 0; i < site_count() && bad_ < kMostBad; ++i) {
      for (uint32_t e = 0; e < errors; ++e) fail_site(site(i), i + e + options_.seed);
    }
    // Those that only called then; and where threads race, not every run gets there again.
    for (uint64_t attempt = 0; attempt < 4 * kKnownRuns; ++attempt) {
      for (uint32_t i = 0; i < site_count() && bad_ < kMostBad; ++i) {
        if (site(i).faults == 0) fail_site(site(i), attempt);
      }
    }
    printf("every place                          %7lu runs %9lu faults\n",
           runs_.size() - runs_before, faults_ - faults_before);
  }

  void fail_site(const Site& seen, uint64_t turn) {
    if (seen.run_count == 0) return;
    Run run = runs_[seen.runs[turn % seen.run_count]];
    uint64_t* const sites = run.plan.sites;
    if (sites[0] == 0) run.plan.site_error = kErrors[turn % kErrorCount];
    sites[sites[0] == 0 ? 0 : 1] = seen.key;
    one_run(run);
  }

  void one_run(const Run& run) {
    bool good = succeeds(run, runs_.size());
    runs_.push_back(run);
    faults_ += g_outcome->faults;
    if (good && g_outcome->forgotten > run.forgotten && g_outcome->forgotten < SIZE_MAX / 2) {
      fprintf(stderr, "faults: %zu bytes of mappings are forgotten, %zu without faults\n",
              g_outcome->forgotten, run.forgotten);
      good = false;
    }
    if (good) return;
    ++bad_;
    const Plan& plan = run.plan;
    printf("again: --setting %s --workload %s --first %lu --count %lu --kinds %u --error %d",
           run.setting->name, run.workload->name, plan.first, plan.count, plan.kinds, plan.error);
    for (const uint64_t key : plan.sites) {
      if (key != 0) printf(" --site 0x%lx --site-error %d", key, plan.site_error);
    }
    printf("\n");
  }

  static constexpr uint64_t kMostBad = 20;

  const Options options_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::vector<Run> runs_;
  uint64_t faults_ = 0;
  uint64_t faults_alone_ = 0;
  uint64_t bad_ = 0;
  uint32_t round_ = 0;
  uint64_t quick_turn_ = 0;
};

int run(const Options& options) {
  start_injector();
  g_outcome = static_cast<Outcome*>(
      mmap(nullptr, sizeof(Outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  setvbuf(stdout, nullptr, _IOLBF, 0);
  Sweep sweep(options);
  bool good = sweep.all();
  const SiteCount sites = show_sites(options.sites);
  const uint32_t missed = sites.places - sites.failed;
  if (options.single.kinds == 0 && missed != 0) {
    fprintf(stderr, "faults: %u places were never made to fail\n", missed);
    // Where threads race, and where hardened mode draws its order, a short test may not get there
    // again.
    if (!options.quick || missed > sites.places / 8) good = false;
  }
  printf(
      "faults: %s: %lu faults (%lu alone in their run, %lu in forked children) in %lu runs, at "
      "%u of %u places that called, %.1f s\n",
      good ? "good" : "BAD", total_faults(), sweep.faults_alone(), total_faults() - sweep.faults(),
      sweep.runs(), sites.failed, sites.places, sweep.elapsed());
  return good ? 0 : 1;
}

int usage(const char* argument) {
  fprintf(
      stderr,
      "faults: bad argument %s; usage: faults [--quick] [--seconds N] [--seed N] [--setting NAME]\n"
      "  [--workload NAME] [--sites] [--first K --count N --kinds BITS --error NUMBER\n"
      "  --site KEY --site-error NUMBER]\n",
      argument);
  return 2;
}

}  // namespace
}  // namespace tide::faults

int main(int argc, char** argv) {
  tide::faults::Options options;
  for (int i = 1; i < argc; ++i) {
    const char* const name = argv[i];
    if (strcmp(name, "--quick") == 0) {
      options.quick = true;
      continue;
    }
    if (strcmp(name, "--sites") == 0) {
      options.sites = true;
      continue;
    }
    if (i + 1 == argc) return tide::faults::usage(name);
    const char* const value = argv[++i];
    if (strcmp(name, "--setting") == 0) {
      options.setting = value;
      continue;
    }
    if (strcmp(name, "--workload") == 0) {
      options.workload = value;
      continue;
    }
    char* end = nullptr;
    const uint64_t number = strtoull(value, &end, 0);  // also -1
    if (*end != '\0') return tide::faults::usage(value);
    if (strcmp(name, "--seconds") == 0) {
      options.seconds = static_cast<double>(number);
    } else if (strcmp(name, "--seed") == 0) {
      options.seed = number;
    } else if (strcmp(name, "--first") == 0) {
      options.single.first = number;
      if (options.single.count == 0) options.single.count = 1;
      if (options.single.kinds == 0) options.single.kinds = tide::faults::kAllKinds;
    } else if (strcmp(name, "--count") == 0) {
      options.single.count = number;
    } else if (strcmp(name, "--kinds") == 0) {
      options.single.kinds = static_cast<uint32_t>(number);
    } else if (strcmp(name, "--error") == 0) {
      options.single.error = static_cast<int>(number);
    } else if (strcmp(name, "--site") == 0) {
      options.single.sites[options.single.sites[0] == 0 ? 0 : 1] = number;
    } else if (strcmp(name, "--site-error") == 0) {
      options.single.site_error = static_cast<int>(number);
    } else {
      return tide::faults::usage(name);
    }
  }
  return tide::faults::run(options);
}
