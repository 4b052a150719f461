// A player's memory over the recorded time, watched from outside; as many samples as a plot needs.
#pragma once

#include <cstdint>
#include <vector>

#include "replay/pass.h"
#include "replay/player_process.h"
#include "replay/session_memory.h"

namespace tide::replay {

class Timeline {
 public:
  static constexpr size_t kMostSamples = 2000;

  Timeline(const SessionMemory& session, const PlayerProcess& player)
      : session_(session), player_(player) {}

  // Until the next sample.
  uint64_t interval_ns() const { return interval_ns_; }
  void sample();
  std::vector<Sample> take() { return std::move(samples_); }
  // The most of the samples, without the player's own part; those that were thinned out, too.
  int64_t most_rss() const { return most_rss_; }

 private:
  const SessionMemory& session_;
  const PlayerProcess& player_;
  uint64_t interval_ns_ = 500'000;
  int64_t most_rss_ = 0;
  std::vector<Sample> samples_;
};

}  // namespace tide::replay
