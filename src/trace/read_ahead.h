// Work that others will ask for, done before they do, on processors that have nothing else to do.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace tide::trace {

class ReadAhead {
 public:
  // Something to do again and again, one time after the other.
  class Task {
   public:
    virtual ~Task() = default;

   protected:
    // On any thread; does not throw.
    virtual void work() noexcept = 0;

   private:
    friend class ReadAhead;
    enum class State { kIdle, kQueued, kRuns };
    State state_ = State::kIdle;
  };

  // 0 threads: whoever asks does the work.
  explicit ReadAhead(size_t threads);
  // No task is begun any more.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // One thread less than there are processors, and three at most.
  static size_t usual_threads();

  // The task's work will be done some time. It has to be ended before it is begun again, or goes.
  void begin(Task& task);
  // When this returns the work is done: here, if no thread has come to it.
  void end(Task& task);
  // Nobody needs the work any more; when this returns nobody is at it.
  void cancel(Task& task);

 private:
  void run();
  // Takes it out of the queue: true if it was there. Else waits for who is at it.
  bool take_back(Task& task, std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable comes_;
  std::condition_variable done_;
  std::deque<Task*> queue_;
  bool ends_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tide::trace
