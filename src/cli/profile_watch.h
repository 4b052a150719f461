// A process that is profiled for a while: read again and again, so that nothing is lost when it
// ends.
#pragma once

#include <functional>

#include "cli/profile_source.h"

namespace tide::cli {

class ProfileWatch {
 public:
  // With Calls::kEvery sampling is kept at that as long as it is watched.
  ProfileWatch(const LiveProfile& live, profile::Kind kind, bool may_stop,
               LiveProfile::Calls calls);

  // False: Ctrl-C, or the process has ended.
  bool wait(double seconds);
  // Calls `take_one` every so many seconds, at most for `seconds` (0: no end), and a last time when
  // that is over, the process has ended or Ctrl-C came.
  void repeat(double every, double seconds, const std::function<void()>& take_one);
  bool has_ended() const { return has_ended_; }

  // As it is now, or was when it was last seen. Throws host::Error when it has ended and its
  // pages are asked for. What is taken next grows from here.
  profile::Profile take();

 private:
  void look();

  const LiveProfile& live_;
  profile::Kind kind_;
  bool may_stop_;
  LiveProfile::Calls calls_;
  bool has_ended_ = false;
  profile::Profile before_;
  profile::Profile last_;
};

}  // namespace tide::cli
