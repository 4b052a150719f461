// Sends a trace to the fleet's database while it is recorded.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "fleet/database_address.h"

namespace tide::cli {

// Looks at the folder again and again, less often the longer that takes. What it does not get away,
// because the database is away or the recording ends, is sent when the recording has ended: the
// folder has all.
class TraceFollower {
 public:
  TraceFollower(fleet::DatabaseAddress address, std::string folder);
  ~TraceFollower();
  TraceFollower(const TraceFollower&) = delete;
  TraceFollower& operator=(const TraceFollower&) = delete;

 private:
  void run();
  // False: it is over.
  bool pause(double seconds);

  const fleet::DatabaseAddress address_;
  const std::string folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace tide::cli
