#include "api/options.h"

#include <atomic>
#include <bit>

#include "api/allocate.h"
#include "api/audit.h"
#include "api/exit_report.h"
#include "api/hardened.h"
#include "api/heap_root.h"
#include "api/profile.h"
#include "ds/lock.h"
#include "sys/cgroup.h"
#include "sys/huge_pages.h"
#include "sys/pressure.h"
#include "sys/process.h"
#include "sys/report.h"

namespace tide::api {

namespace {

constinit OptionSet g_options;
constinit std::atomic<bool> g_loaded{false};
constinit ds::Lock<ds::Rank::kOptions> g_lock;

enum class HugePages : uint8_t { kUnknown, kAsked, kAlways };
constinit std::atomic<HugePages> g_huge_pages{HugePages::kUnknown};

constexpr heap::Config kBuiltIn = heap::Config::defaults();
static_assert(kOptionRows[static_cast<size_t>(OptionId::thread_cache)].initial ==
                      kBuiltIn.thread_cache_bytes &&
                  kOptionRows[static_cast<size_t>(OptionId::huge_threshold)].initial ==
                      kBuiltIn.huge_threshold_bytes &&
                  kOptionRows[static_cast<size_t>(OptionId::huge_cache)].initial ==
                      kBuiltIn.huge_cache_bytes &&
                  kOptionRows[static_cast<size_t>(OptionId::remap_threshold)].initial ==
                      kBuiltIn.remap_threshold_bytes &&
                  kOptionRows[static_cast<size_t>(OptionId::purge_min_run)].initial ==
                      kBuiltIn.purge_least_bytes,
              "options.def and heap/config.h say the same");

void warn_line(void*, std::string_view line) { sys::warn(line); }

void announce() {
  base::TextBuffer<128> line;
  line.text("version " TIDE_VERSION " in process ");
  line.decimal(static_cast<uint64_t>(sys::process_id()));
  sys::warn(line.view());
  for (size_t i = 0; i < kOptionCount; ++i) {
    const auto id = static_cast<OptionId>(i);
    if (g_options.source(id) == OptionSource::kDefault) continue;
    base::TextBuffer<480> row;
    row.text("option ").text(kOptionRows[i].name).text(" is ");
    g_options.format(id, row);
    row.text(", from ");
    g_options.format_source(id, row);
    sys::warn(row.view());
  }
}

void load() {
  if (sys::is_secure_execution()) return;
  g_options.load(sys::environment(), warn_line, nullptr);
  if (g_options.is_on(OptionId::verbose)) announce();
}

// Twice the CPUs, so that few of the threads that run at once share one.
uint32_t homes_for(unsigned cpus) {
  return cpus >= layout::kHomes / 2 ? layout::kHomes : std::bit_ceil(2 * cpus);
}

uint32_t mid_depots_for(unsigned cpus) {
  constexpr uint32_t kMost = heap::Config::kMostMidDepots;
  return cpus >= kMost ? kMost : std::bit_ceil(cpus);
}

bool keeps_huge_pages(const OptionSet& set) {
  constexpr uint64_t kAutomatic = 0;
  constexpr uint64_t kKeep = 2;
  const uint64_t choice = set.number(OptionId::purge_thp);
  return choice == kKeep || (choice == kAutomatic && g_huge_pages.load() == HugePages::kAlways);
}

heap::Config config_of(const OptionSet& set) {
  heap::Config config = heap::Config::defaults();
  config.thread_cache_bytes = set.number(OptionId::thread_cache);
  config.huge_threshold_bytes = set.number(OptionId::huge_threshold);
  config.huge_cache_bytes = set.number(OptionId::huge_cache);
  config.remap_threshold_bytes = set.number(OptionId::remap_threshold);
  config.huge_growth_bytes = set.number(OptionId::huge_growth);
  harden(config);
  config.purge = set.is_on(OptionId::purge);
  config.purge_lazily = set.number(OptionId::purge_advice) != 0;
  config.purge_least_bytes = set.number(OptionId::purge_min_run);
  config.keep_huge_pages = keeps_huge_pages(set);
  return config;
}

// The engine and the report take over what has changed; holding the lock.
void apply(RealEngine& started) {
  prepare_exit_report();
  const heap::Config config = config_of(g_options);
  // The engine reads these one by one; each takes effect at the next block that it concerns.
  base::racy_store(started.config().huge_threshold_bytes, config.huge_threshold_bytes);
  base::racy_store(started.config().huge_cache_bytes, config.huge_cache_bytes);
  base::racy_store(started.config().remap_threshold_bytes, config.remap_threshold_bytes);
  base::racy_store(started.config().purge, config.purge);
  base::racy_store(started.config().purge_lazily, config.purge_lazily);
  base::racy_store(started.config().purge_least_bytes, config.purge_least_bytes);
  base::racy_store(started.config().keep_huge_pages, config.keep_huge_pages);
}

sys::CgroupLimits group_if_asked(const OptionSet& set) {
  if (!has_auto_limit(set)) return {};
  sys::GroupRoom room;
  return sys::cgroup_limits(room);
}

bool is_limit(std::string_view name) {
  const size_t i = find_option(name);
  return i == static_cast<size_t>(OptionId::limit_soft) ||
         i == static_cast<size_t>(OptionId::limit_hard);
}

bool is_of_profile(std::string_view name) {
  const size_t i = find_option(name);
  return i == static_cast<size_t>(OptionId::profile) ||
         i == static_cast<size_t>(OptionId::profile_rate) ||
         i == static_cast<size_t>(OptionId::profile_calls);
}

void follow_profile_options() {
  if (g_options.is_on(OptionId::profile)) {
    start_profile_by_options();
  } else {
    profile_stop();
  }
}

// In .fini_array: after the program's own exit handlers and destructors, of which many free memory.
// Here and not beside the report, because only a file that somebody refers to is taken out of
// libtide.a.
__attribute__((destructor)) void at_exit() {
  write_profile_at_exit();
  write_exit_report();
  audit_at_exit();
}

}  // namespace

const OptionSet& options() {
  if (TIDE_UNLIKELY(!g_loaded.load(std::memory_order_acquire))) {
    const ds::LockGuard guard(g_lock);
    if (!g_loaded.load(std::memory_order_relaxed)) {
      load();
      g_loaded.store(true, std::memory_order_release);  // pairs with the load above
      prepare_exit_report();
    }
  }
  return g_options;
}

OptionFault set_option(std::string_view name, std::string_view value) {
  RealEngine& started = engine();
  options();
  {
    const ds::LockGuard guard(g_lock);
    const OptionFault fault = g_options.set(name, value);
    if (fault != OptionFault::kNone) return fault;
    apply(started);
    if (is_of_profile(name)) follow_profile_options();
    if (!is_limit(name)) return fault;
    const LimitBytes limits = limits_of(g_options, group_if_asked(g_options));
    started.limits().set(limits.soft, limits.hard);
  }
  enforce_limits();
  return OptionFault::kNone;
}

LimitBytes limits_in_force() {
  const heap::Limits& limits = engine().limits();
  return {limits.soft(), limits.hard()};
}

OptionFault set_limits(uint64_t soft, uint64_t hard) {
  constexpr uint64_t kMost = kOptionRows[static_cast<size_t>(OptionId::limit_hard)].maximum;
  if ((soft != kAuto && soft > kMost) || (hard != kAuto && hard > kMost)) {
    return OptionFault::kOutOfRange;
  }
  if (soft != kAuto && hard != kAuto && hard != 0 && soft > hard) return OptionFault::kOutOfRange;
  for (const OptionId id : {OptionId::limit_soft, OptionId::limit_hard}) {
    const OptionRow& row = kOptionRows[static_cast<size_t>(id)];
    base::TextBuffer<32> text;
    format_value(row.type, row.unit, id == OptionId::limit_soft ? soft : hard, text);
    const OptionFault fault = set_option(row.name, text.view());
    if (fault != OptionFault::kNone) return fault;
  }
  return OptionFault::kNone;
}

bool refresh_limits(sys::GroupRoom& room) {
  RealEngine& started = engine();
  const bool watches = options().is_on(OptionId::pressure);
  started.limits().set_pressure(watches &&
                                sys::memory_pressure(room) != sys::MemoryPressure::kNone);
  if (!has_auto_limit(g_options)) return false;
  const sys::CgroupLimits group = sys::cgroup_limits(room);
  const ds::LockGuard guard(g_lock);  // the options may have changed meanwhile
  return take_over(g_options, group, started.limits());
}

void notice_huge_pages() {
  if (TIDE_LIKELY(g_huge_pages.load(std::memory_order_relaxed) != HugePages::kUnknown)) return;
  g_huge_pages.store(sys::gives_huge_pages() ? HugePages::kAlways : HugePages::kAsked);
  RealEngine& started = engine();
  const ds::LockGuard guard(g_lock);
  base::racy_store(started.config().keep_huge_pages, keeps_huge_pages(g_options));
}

void repair_options_in_child() { g_lock.release_in_child(); }

heap::Config config_from_options() {
  heap::Config config = config_of(options());
  const unsigned cpus = sys::cpu_count();
  config.homes = homes_for(cpus);
  config.mid_depots = mid_depots_for(cpus);
  config.describe = describe_heap;
  const LimitBytes limits = limits_of(options(), group_if_asked(options()));
  config.limit_soft_bytes = limits.soft;
  config.limit_hard_bytes = limits.hard;
  return config;
}

}  // namespace tide::api
