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

  // Returns whether sampling was off. 0: as it is, or the usual rate.
  bool start(uint64_t gap_bytes) const;
  void stop() const;

  // Whether it still runs.
  bool is_there() const;

 private:
  template <class T>
  void write(size_t offset, T value) const;
  void complete(profile::Profile& profile) const;

  int pid_;
  walk::LiveTarget target_;
  uint64_t address_ = 0;
  bool is_tides_ = false;  // of a process on Tide's malloc
};

// A core, or a file of the option profile_file or of tide_profile_write.
profile::Profile load_profile_or_core(const std::string& path, profile::Kind kind);

}  // namespace tide::cli
