// Where `tide profile` gets profiles: from a process that runs, a core, or a file that a program
// left.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "profile/costs.h"
#include "walk/live_target.h"

namespace tide::cli {

// The samples of a process that runs. Throws host::Error that says why there are none.
class LiveProfile {
 public:
  explicit LiveProfile(int pid);

  int pid() const { return pid_; }
  profile::Profile read() const;
  // With what is known of pages. For kFragmentation the process is stopped for as long as its slabs
  // are looked at, unless `may_stop` is false: then it may change meanwhile.
  profile::Profile read_with_pages(profile::Kind kind, bool may_stop) const;

  // With residency and, on Tide's malloc, pins; the process goes on meanwhile.
  profile::Profile read_with_all_pages() const;

  // Whether every call of malloc is to be counted, which costs the process some 70 instructions for
  // each: else what its threads free and take again at once is hardly in what was allocated.
  enum class Calls { kByPlaces, kEvery };
  // Returns whether sampling was off. 0: as it is, or the usual rate. All threads of a process on
  // Tide's malloc follow at their next call.
  bool start(uint64_t gap_bytes, Calls calls) const;
  bool is_on() const;
  bool counts_calls() const;
  // Counting every call ends by itself after a minute unless this is called meanwhile. Does nothing
  // while sampling is off.
  void count_on() const;
  // Goes on by places.
  void count_no_calls() const;
  void stop() const;

  // Whether it still runs.
  bool is_there() const;

 private:
  template <class T>
  void write(size_t offset, T value) const;
  void complete(profile::Profile& profile) const;
  void call_threads() const;

  int pid_;
  walk::LiveTarget target_;
  uint64_t address_ = 0;
  uint64_t root_ = 0;  // of a process on Tide's malloc
  bool can_count_ = false;
};

// A core, or a file of the option profile_file or of tide_profile_write. The files that it names
// are under `sysroot`, a folder; empty: they are this machine's.
profile::Profile load_profile_or_core(const std::string& path, profile::Kind kind,
                                      const std::string& sysroot);

}  // namespace tide::cli
