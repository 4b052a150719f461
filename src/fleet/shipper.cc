#include "fleet/shipper.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace tide::fleet {

uint64_t backoff_ms(unsigned failures) {
  constexpr uint64_t kFirst = 1000;
  constexpr uint64_t kMost = 60'000;
  if (failures == 0) return 0;
  return std::min(kMost, kFirst << std::min(failures - 1, 6u));
}

Shipper::Shipper(Spool& spool, Open open, Say say)
    : spool_(spool), open_(std::move(open)), say_(std::move(say)), thread_([this] { run(); }) {}

Shipper::~Shipper() {
  {
    const std::lock_guard guard(mutex_);
    must_end_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Shipper::wake() {
  {
    const std::lock_guard guard(mutex_);
    has_work_ = true;
  }
  changed_.notify_all();
}

void Shipper::finish(double seconds) {
  std::unique_lock lock(mutex_);
  is_ending_ = true;
  has_work_ = true;
  is_idle_ = false;
  changed_.notify_all();
  changed_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return is_idle_; });
}

Shipper::Figures Shipper::figures() const {
  const std::lock_guard guard(mutex_);
  return figures_;
}

void Shipper::note_failure(const std::string& what) {
  bool is_new = false;
  {
    const std::lock_guard guard(mutex_);
    ++figures_.failures;
    ++failures_in_row_;
    is_new = !figures_.is_away || what != last_fault_;
    figures_.is_away = true;
    last_fault_ = what;
  }
  if (is_new) {
    say_(fmt::format("{}; what is collected stays in '{}' until it can be sent", what,
                     spool_.folder()));
  }
}

void Shipper::note_success() {
  bool was_away = false;
  {
    const std::lock_guard guard(mutex_);
    was_away = figures_.is_away;
    figures_.is_away = false;
    failures_in_row_ = 0;
  }
  if (was_away) say_("the database is back");
}

bool Shipper::ship_all() {
  try {
    // A connection for each round: a file that was moved or put back is seen.
    std::unique_ptr<Store> store;
    while (true) {
      {
        const std::lock_guard guard(mutex_);
        if (must_end_) return false;
      }
      std::vector<std::string> complaints;
      std::optional<Spool::Entry> entry = spool_.oldest(complaints);
      for (const std::string& complaint : complaints) say_(complaint);
      if (!entry) return true;
      if (store == nullptr) {
        store = open_();
        store->prepare();
      }
      store->apply(entry->batch);
      spool_.remove(entry->name);
      {
        const std::lock_guard guard(mutex_);
        ++figures_.shipped_batches;
      }
      note_success();
    }
  } catch (const std::exception& error) {
    note_failure(error.what());
    return false;
  }
}

void Shipper::run() {
  std::unique_lock lock(mutex_);
  while (!must_end_) {
    has_work_ = false;
    lock.unlock();
    const bool is_done = ship_all();
    lock.lock();
    if (is_done && !has_work_) {
      is_idle_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return has_work_ || must_end_; });
    } else if (!is_done) {
      // New work is no reason to ask sooner, the end is.
      const auto pause =
          std::chrono::milliseconds(is_ending_ ? backoff_ms(1) / 4 : backoff_ms(failures_in_row_));
      const bool was_ending = is_ending_;
      changed_.wait_for(lock, pause, [&] { return must_end_ || is_ending_ != was_ending; });
    }
  }
}

}  // namespace tide::fleet
