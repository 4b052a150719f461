#include "trace/read_ahead.h"

#include <algorithm>

namespace tide::trace {

ReadAhead::ReadAhead(size_t threads) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard guard(mutex_);
    ends_ = true;
  }
  comes_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

size_t ReadAhead::usual_threads() {
  constexpr size_t kMost = 3;
  const size_t processors = std::max(1u, std::thread::hardware_concurrency());
  return std::min(processors - 1, kMost);
}

void ReadAhead::begin(Task& task) {
  {
    const std::lock_guard guard(mutex_);
    task.state_ = Task::State::kQueued;
    queue_.push_back(&task);
  }
  comes_.notify_one();
}

bool ReadAhead::take_back(Task& task, std::unique_lock<std::mutex>& lock) {
  if (task.state_ == Task::State::kQueued) {
    queue_.erase(std::find(queue_.begin(), queue_.end(), &task));
    task.state_ = Task::State::kIdle;
    return true;
  }
  done_.wait(lock, [&] { return task.state_ == Task::State::kIdle; });
  return false;
}

void ReadAhead::end(Task& task) {
  std::unique_lock lock(mutex_);
  const bool is_ours = take_back(task, lock);
  lock.unlock();
  if (is_ours) task.work();
}

void ReadAhead::cancel(Task& task) {
  std::unique_lock lock(mutex_);
  take_back(task, lock);
}

void ReadAhead::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    comes_.wait(lock, [this] { return ends_ || !queue_.empty(); });
    if (ends_) return;
    Task* const task = queue_.front();
    queue_.pop_front();
    task->state_ = Task::State::kRuns;
    lock.unlock();
    task->work();
    lock.lock();
    task->state_ = Task::State::kIdle;
    done_.notify_all();
  }
}

}  // namespace tide::trace
