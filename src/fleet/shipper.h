// Takes batches from the spool to the database, in a thread of its own, oldest first; a batch
// leaves the spool when the database says that it has it. While the database is away it asks again,
// at first after a second, then after twice as long each time, up to a minute.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "fleet/spool.h"
#include "fleet/store.h"

namespace tide::fleet {

// How long to wait after so many failures in a row.
uint64_t backoff_ms(unsigned failures);

class Shipper {
 public:
  using Open = std::function<std::unique_ptr<Store>()>;
  using Say = std::function<void(const std::string&)>;

  // `say` gets a line when the database goes away and when it is back.
  Shipper(Spool& spool, Open open, Say say);
  ~Shipper();

  // There is something in the spool.
  void wake();
  // Ships what is there, for at most that long, and ends the thread.
  void finish(double seconds);

  struct Figures {
    uint64_t shipped_batches = 0;
    uint64_t failures = 0;  // attempts
    bool is_away = false;
  };
  Figures figures() const;

 private:
  void run();
  // Whether the spool is empty now.
  bool ship_all();
  void note_failure(const std::string& what);
  void note_success();

  Spool& spool_;
  const Open open_;
  const Say say_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Figures figures_;
  std::string last_fault_;
  unsigned failures_in_row_ = 0;
  bool has_work_ = true;
  bool is_ending_ = false;
  bool is_idle_ = false;
  bool must_end_ = false;
  std::thread thread_;
};

}  // namespace tide::fleet
