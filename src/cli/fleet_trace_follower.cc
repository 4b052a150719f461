#include "cli/fleet_trace_follower.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <memory>

#include "cli/fleet_import.h"
#include "cli/trace_control.h"
#include "fleet/store.h"
#include "host/error.h"

namespace tide::cli {
namespace {

constexpr double kFirstPause = 2;
constexpr double kRarely = 4;  // it may take a fifth of a processor
// Clocks may be set a little, and events that wait for each other stand in another order.
constexpr uint64_t kMarginNs = 500'000'000;

}  // namespace

TraceFollower::TraceFollower(fleet::DatabaseAddress address, std::string folder)
    : address_(std::move(address)), folder_(std::move(folder)) {
  // Ctrl-C and the program's end are for who records.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TraceFollower::~TraceFollower() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool TraceFollower::pause(double seconds) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, std::chrono::duration<double>(seconds),
                            [this] { return is_over_; });
}

void TraceFollower::run() {
  using Clock = std::chrono::steady_clock;
  std::unique_ptr<fleet::Store> store;
  std::map<uint32_t, size_t> sent;
  for (double seconds = kFirstPause; pause(seconds);) {
    const auto begin = Clock::now();
    try {
      // What was recorded until here is in the folder then.
      const uint64_t now_ns = now_since_1970();
      send_control(folder_, {"sync"});
      if (store == nullptr) store = fleet::open_store(address_, false);
      send_so_far(*store, folder_, host_name(), now_ns - kMarginNs, sent,
                  [this] { return pause(0); });
    } catch (const host::Error&) {
      // Nothing is recorded yet or any more, or the database is away: later.
    }
    seconds = std::max(kFirstPause,
                       kRarely * std::chrono::duration<double>(Clock::now() - begin).count());
  }
}

}  // namespace tide::cli
