#include "replay/session_memory.h"

#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <numeric>

#include "host/byte_text.h"
#include "host/error.h"

namespace tide::replay {

using format::ReplayLayout;
using format::ReplaySession;
using format::ReplayThread;
using format::ReplayWindow;

namespace {

// What the plan has to say for the layout; the head itself has atomics and stays where it is.
void plan(ReplaySession& session, const WorkloadReader& workload, const Survey& survey,
          const Settings& settings, PassKind kind, uint64_t stop_at_ns) {
  session.magic = format::kReplaySessionMagic;
  session.copies = settings.copies;
  session.threads = workload.head().threads;
  session.slots = workload.head().slots;
  session.windows = static_cast<uint32_t>(survey.window_ends.size());
  session.places = session.threads * session.copies;
  session.touch = settings.touch;
  session.at_recorded_speed = settings.at_recorded_speed ? 1 : 0;
  session.is_null = is_null(kind) ? 1 : 0;
  session.is_timed = kind == PassKind::kLatency ? 1 : 0;
  session.counts_system_calls = counts_system_calls(kind) ? 1 : 0;
  session.threads_per_core = settings.threads_per_core;
  session.trim_every_ns = settings.trim_every_ns;
  session.next_trim_ns = settings.trim_every_ns == 0 ? UINT64_MAX : settings.trim_every_ns;
  session.stop_at_ns = stop_at_ns;
  for (const format::WorkloadBlock& block : workload.blocks()) {
    session.most_plain_bytes = std::max<uint64_t>(session.most_plain_bytes, block.plain_bytes);
    session.most_stored_bytes = std::max<uint64_t>(session.most_stored_bytes, block.stored_bytes);
  }
}

uint64_t page_bytes() { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

SessionMemory::SessionMemory(const WorkloadReader& workload, const Survey& survey,
                             const Settings& settings, PassKind kind, uint64_t stop_at_ns)
    : plan_{},
      layout_((plan(plan_, workload, survey, settings, kind, stop_at_ns), plan_), page_bytes()),
      file_(memfd_create("tide-replay", MFD_CLOEXEC)) {
  if (file_.get() < 0 || ftruncate(file_.get(), static_cast<off_t>(layout_.bytes)) != 0) {
    throw host::Error(fmt::format("no shared memory of {} for the player: {}",
                                  host::byte_text(layout_.bytes), std::strerror(errno)));
  }
  void* const memory =
      mmap(nullptr, layout_.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (memory == MAP_FAILED) {
    throw host::Error(fmt::format("no memory of {} for the slots of the workload: {}",
                                  host::byte_text(layout_.bytes), std::strerror(errno)));
  }
  memory_ = static_cast<uint8_t*>(memory);
  head_ = new (memory_) ReplaySession{};
  plan(*head_, workload, survey, settings, kind, stop_at_ns);

  auto* const windows = reinterpret_cast<ReplayWindow*>(memory_ + layout_.windows_at);
  for (size_t i = 0; i < survey.window_ends.size(); ++i) {
    windows[i].end_ns = survey.window_ends[i];
  }
  for (uint32_t i = 0; i < thread_count(); ++i) {
    auto* const thread = new (threads() + i) ReplayThread{};
    const format::WorkloadThread& recorded = workload.threads()[i % head_->threads];
    thread->wanted = UINT64_MAX;
    thread->begin_ns = recorded.begin_ns;
    thread->first_window = window_of(survey.window_ends, recorded.begin_ns);
    thread->last_window =
        std::max<uint64_t>(thread->first_window, window_of(survey.window_ends, recorded.end_ns));
    for (uint64_t w = thread->first_window; w <= thread->last_window; ++w) ++windows[w].threads;
  }
  auto* const order = reinterpret_cast<uint32_t*>(memory_ + layout_.order_at);
  std::iota(order, order + thread_count(), 0U);
  std::stable_sort(order, order + thread_count(),
                   [&](uint32_t a, uint32_t b) { return thread(a).begin_ns < thread(b).begin_ns; });
  // Windows that nobody is in are left already.
  uint32_t floor = 0;
  while (floor < head_->windows && windows[floor].threads == 0) ++floor;
  head_->floor = floor;
}

SessionMemory::~SessionMemory() { munmap(memory_, layout_.bytes); }

ReplayThread* SessionMemory::threads() const {
  return reinterpret_cast<ReplayThread*>(memory_ + layout_.threads_at);
}

const format::ReplaySlot* SessionMemory::slots() const {
  return reinterpret_cast<const format::ReplaySlot*>(memory_ + layout_.slots_at);
}

const format::LatencyTable* SessionMemory::latencies() const {
  return reinterpret_cast<const format::LatencyTable*>(memory_ + layout_.latencies_at);
}

void SessionMemory::let_go() {
  head_->go.store(1, std::memory_order_release);
  syscall(SYS_futex, &head_->go, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

int64_t SessionMemory::window_live(uint32_t window) const {
  return reinterpret_cast<const ReplayWindow*>(memory_ + layout_.windows_at)[window]
      .live_bytes.load();
}

uint64_t SessionMemory::operations_done() const {
  uint64_t done = 0;
  for (uint32_t i = 0; i < thread_count(); ++i) done += thread(i).done.load();
  return done;
}

}  // namespace tide::replay
