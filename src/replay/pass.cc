#include "replay/pass.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "host/byte_text.h"
#include "host/error.h"
#include "host/preload.h"
#include "replay/live_pages.h"
#include "replay/memory_group.h"
#include "replay/player_process.h"
#include "replay/session_memory.h"
#include "replay/system_calls.h"
#include "replay/timeline.h"

namespace tide::replay {

using format::ReplayFault;
using format::ReplaySession;
using format::ReplayState;
using format::ReplayThread;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kPlayer = "tide-player";
// Nobody plays an operation in that time: it hangs. At recorded speed threads may rest.
constexpr std::chrono::seconds kLongestStandstill{60};
constexpr uint64_t kStartPoll = 200'000;
constexpr std::chrono::seconds kLongestStart{30};

std::string count_text(uint64_t operations) {
  if (operations < 10'000) return fmt::format("{} calls", operations);
  if (operations < 1'000'000)
    return fmt::format("{:.1f} k calls", static_cast<double>(operations) / 1e3);
  return fmt::format("{:.1f} M calls", static_cast<double>(operations) / 1e6);
}

// What the end of the player means; "ok" for a good one.
std::string end_of(const SessionMemory& session, const PlayerProcess& player,
                   const MemoryGroup* group, int status) {
  const ReplaySession& head = session.head();
  const std::string after = "after " + count_text(session.operations_done());
  const std::string complaint = player.complaint();
  const std::string said = complaint.empty() ? "" : fmt::format(" ({})", complaint);
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGKILL && group != nullptr && group->has_killed()) {
      return "out of memory: killed at the limit " + after;
    }
    const char* const name = sigabbrev_np(signal);
    return fmt::format("crashed: SIG{} {}{}", name != nullptr ? name : "?", after, said);
  }
  switch (head.state.load()) {
    case ReplayState::kDone:
      return "ok";
    case ReplayState::kNoMemory:
      return fmt::format("out of memory: {} of {} failed {}{}",
                         format::call_name(static_cast<format::Call>(head.failed_call.load())),
                         host::byte_text(head.failed_size.load()), after, said);
    case ReplayState::kFailed:
      switch (head.fault.load()) {
        case ReplayFault::kMemory:
          return "failed: no memory for the player itself " + after;
        case ReplayFault::kThread:
          return "failed: no further thread could be started " + after + said;
        case ReplayFault::kPointer:
          return "failed: the allocator gave an address above 48 bits " + after;
        default:
          return "failed: the workload could not be read " + after;
      }
    default:
      return fmt::format("exited: status {} {}{}", WEXITSTATUS(status), after, said);
  }
}

// Tells when a player takes too long, and why.
class Patience {
 public:
  Patience(const SessionMemory& session, const Settings& settings)
      : session_(session), settings_(settings) {}

  bool is_over() {
    const auto now = Clock::now();
    const uint64_t done = session_.operations_done();
    if (done != last_done_) {
      last_done_ = done;
      last_move_ = now;
    }
    const auto limit = std::chrono::nanoseconds(settings_.timeout_ns);
    const bool is_late = settings_.timeout_ns != 0 && now - begin_ > limit;
    const bool stands = !settings_.at_recorded_speed && now - last_move_ > kLongestStandstill;
    if (is_late)
      why_ =
          fmt::format("not done within {:.3g} s", static_cast<double>(settings_.timeout_ns) / 1e9);
    if (stands) why_ = fmt::format("no call for {} s", kLongestStandstill.count());
    return is_late || stands;
  }
  std::string status() const {
    return why_.empty() ? "" : fmt::format("hung: {}, {}", why_, count_text(last_done_));
  }

 private:
  const SessionMemory& session_;
  const Settings& settings_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_move_ = begin_;
  uint64_t last_done_ = 0;
  std::string why_;
};

bool has_stopped(const SessionMemory& session) {
  for (uint32_t i = 0; i < session.thread_count(); ++i) {
    const ReplayThread& thread = session.thread(i);
    const uint32_t state = thread.state.load();
    if (state == ReplayThread::kParked || state == ReplayThread::kEnded) continue;
    if (thread.begin_ns <= session.head().stop_at_ns) return false;
  }
  return true;
}

void collect_latencies(const SessionMemory& session, PassResult& result) {
  for (size_t kind = 0; kind < format::kLatencyKinds; ++kind) {
    for (size_t band = 0; band < format::kLatencyBands; ++band) {
      LatencyBand all{static_cast<format::LatencyKind>(kind), band};
      for (uint32_t place = 0; place < session.head().places_used.load(); ++place) {
        const format::LatencyHistogram& one = session.latencies()[place][kind][band];
        all.longest = std::max(all.longest, one.longest);
        for (size_t i = 0; i < format::kLatencyBuckets; ++i) {
          all.counts[i] += one.counts[i];
          all.count += one.counts[i];
        }
      }
      if (all.count != 0) result.latencies.push_back(all);
    }
  }
}

void collect(const SessionMemory& session, PassResult& result) {
  const ReplaySession& head = session.head();
  result.operations = session.operations_done();
  uint64_t spin_ticks = 0;
  uint64_t wait_ticks = 0;
  uint64_t decode_ticks = 0;
  for (uint32_t i = 0; i < session.thread_count(); ++i) {
    const ReplayThread& thread = session.thread(i);
    for (size_t call = 0; call < format::kCallCount; ++call) {
      result.calls[call] += thread.calls[call].load();
    }
    result.live_bytes += thread.live_bytes.load();
    result.live_blocks += thread.live_blocks.load();
    result.waits += thread.waits;
    spin_ticks += thread.spin_ticks;
    wait_ticks += thread.wait_ticks;
    decode_ticks += thread.decode_ticks;
  }
  result.harness_bytes = head.harness_bytes.load();
  result.harness_vm_bytes = head.harness_vm_bytes.load();
  result.program_vm_bytes = head.vm_at_begin;
  result.peak_rss = head.hwm_bytes;
  result.peak_vm = head.peak_bytes;
  if (head.end_ticks <= head.begin_ticks) return;
  result.ns_per_tick =
      static_cast<double>(head.wall_ns) / static_cast<double>(head.end_ticks - head.begin_ticks);
  result.wall_ns = static_cast<double>(head.wall_ns);
  result.cpu_ns = std::max(
      0.0, static_cast<double>(head.cpu_ns) - static_cast<double>(spin_ticks) * result.ns_per_tick);
  result.decode_ns = static_cast<double>(decode_ticks) * result.ns_per_tick;
  result.waited_ns = static_cast<double>(wait_ticks) * result.ns_per_tick;
  result.minor_faults = head.minor_faults;
  result.major_faults = head.major_faults;
}

bool has_curve_of(const Survey& survey, const SessionMemory& session, uint32_t copies) {
  for (uint32_t i = 0; i < survey.window_live.size(); ++i) {
    if (session.window_live(i) != survey.window_live[i] * copies) return false;
  }
  return true;
}

// Until the player has loaded its libraries and waits. The status where it ended before that.
std::optional<int> wait_for_start(const SessionMemory& session, PlayerProcess& player) {
  const auto begin = Clock::now();
  while (session.head().state.load() == ReplayState::kStarting) {
    if (const auto status = player.wait(kStartPoll)) return status;
    if (Clock::now() - begin > kLongestStart) {
      player.kill();
      return player.wait(0);
    }
  }
  return std::nullopt;
}

void require_loaded(const SessionMemory& session, const PlayerProcess& player,
                    const Allocator& allocator) {
  if (allocator.library.empty()) return;
  const std::string file = player.mapped_file(session.head().malloc_address);
  std::error_code error;
  if (std::filesystem::equivalent(file, allocator.library, error)) return;
  const std::string complaint = player.complaint();
  throw host::Error(
      fmt::format("{}: '{}' is no allocator that can be preloaded: malloc is still that of '{}'{}",
                  allocator.label, allocator.library, file,
                  complaint.empty() ? "" : fmt::format(" ({})", complaint)));
}

// Of address space, that the player needs for itself.
uint64_t own_vm_bytes(const SessionMemory& session) {
  constexpr uint64_t kProgram = uint64_t{16} << 20;
  constexpr uint64_t kThread = uint64_t{1} << 20;
  const ReplaySession& head = session.head();
  return kProgram + session.bytes() +
         head.places * (kThread + head.most_plain_bytes + head.most_stored_bytes);
}

// Keeps a group's limit at what the allocator may have beside what the player has by now, and what
// it takes for the next threads to come, two for each processor.
class AllocatorLimit {
 public:
  AllocatorLimit(MemoryGroup& group, const SessionMemory& session, uint64_t bytes)
      : group_(group),
        session_(session),
        // What is there when nothing has been called yet is not the allocator's.
        bytes_(group.used_bytes() + bytes),
        harness_at_begin_(session.head().harness_bytes.load()) {
    follow();
  }
  void follow() {
    const ReplaySession& head = session_.head();
    const uint64_t limit = bytes_ + head.harness_bytes.load() - harness_at_begin_ + ahead(head);
    if (limit == limit_) return;
    limit_ = limit;
    group_.set_limit(limit);
  }

 private:
  static uint64_t ahead(const ReplaySession& head) {
    constexpr uint64_t kThread = uint64_t{256} << 10;
    const auto processors = static_cast<uint64_t>(sysconf(_SC_NPROCESSORS_ONLN));
    return std::min<uint64_t>(head.places - head.places_used.load(), 2 * processors) *
           (kThread + head.most_plain_bytes + head.most_stored_bytes +
            (head.is_timed != 0 ? sizeof(format::LatencyTable) : 0));
  }

  MemoryGroup& group_;
  const SessionMemory& session_;
  const uint64_t bytes_;
  const uint64_t harness_at_begin_;
  uint64_t limit_ = 0;
};

LimitBy limit_for(const Settings& settings, std::string& why_no_group) {
  if (settings.limit_bytes == 0 || settings.limit_by == LimitBy::kAddressSpace) {
    return LimitBy::kAddressSpace;
  }
  if (MemoryGroup::make(why_no_group)) return LimitBy::kGroup;
  if (settings.limit_by == LimitBy::kGroup) {
    throw host::Error("--limit-by group: " + why_no_group);
  }
  return LimitBy::kAddressSpace;
}

}  // namespace

Passes::Passes(const WorkloadReader& workload, const Survey& survey, const Settings& settings)
    : workload_(workload),
      survey_(survey),
      settings_(settings),
      player_(host::find_own_library(kPlayer)),
      limit_by_(limit_for(settings, why_no_group_)) {}

PassResult Passes::run(const Allocator& allocator, PassKind kind, uint64_t stop_at_ns,
                       const std::function<void(uint64_t)>& progress) const {
  PassResult result;
  SessionMemory session(workload_, survey_, settings_, kind,
                        kind == PassKind::kPages ? stop_at_ns : UINT64_MAX);
  const bool is_limited = settings_.limit_bytes != 0 && !is_null(kind);
  std::unique_ptr<MemoryGroup> group;
  PlayerLimits limits;
  if (is_limited && limit_by_ == LimitBy::kGroup) {
    std::string why_not;
    group = MemoryGroup::make(why_not);
    if (!group) throw host::Error("--limit: " + why_not);
    limits.group = group->members();
  } else if (is_limited) {
    limits.address_space = settings_.limit_bytes + own_vm_bytes(session);
  }
  PlayerProcess player(player_, allocator, session.descriptor(), workload_.path(), limits);
  std::optional<int> status = wait_for_start(session, player);
  if (!status && !is_null(kind)) require_loaded(session, player, allocator);

  Patience patience(session, settings_);
  std::optional<AllocatorLimit> limit;
  if (!status && group) limit.emplace(*group, session, settings_.limit_bytes);
  const auto is_over = [&] {
    if (limit) limit->follow();
    return patience.is_over();
  };
  if (!status && counts_system_calls(kind)) {
    SystemCallCounter counter;
    if (!counter.attach(player)) return result;
    session.let_go();
    const uint64_t begin = session.head().session_address;
    status = counter.follow(player, begin, begin + session.bytes(), is_over);
    // Without a filter nothing was seen.
    if (session.head().counts_system_calls != 0) result.system_calls = counter.counts();
  } else if (!status) {
    session.let_go();
    Timeline timeline(session, player);
    timeline.sample();
    while (!(status = player.wait(timeline.interval_ns()))) {
      timeline.sample();
      progress(session.operations_done());
      if (is_over()) break;
      if (kind == PassKind::kPages && has_stopped(session)) break;
    }
    result.timeline = timeline.take();
  }
  if (kind == PassKind::kPages && !status && patience.status().empty()) {
    const LivePages live = count_live_pages(session.slots(), session.slot_count(),
                                            static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
    result.live_pages = live.pages;
    result.live_at_stop = live.bytes;
  } else if (!patience.status().empty()) {
    result.status = patience.status();
  } else if (status) {
    result.status = end_of(session, player, group.get(), *status);
  }
  player.kill();
  result.said = player.complaint();
  collect(session, result);
  result.live_curve_equal = has_curve_of(survey_, session, settings_.copies);
  if (kind == PassKind::kLatency) collect_latencies(session, result);
  return result;
}

}  // namespace tide::replay
