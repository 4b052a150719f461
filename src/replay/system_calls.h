// Counts a player's system calls about memory: its filter (seccomp(2)) stops it at each, and the
// replayer, which traces it, looks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "replay/player_process.h"

namespace tide::replay {

class SystemCallCounter {
 public:
  // False: tracing is not allowed here.
  bool attach(const PlayerProcess& player);

  // Until the player ends; returns its status. Futexes between `begin` and `end` are the player's
  // own. `is_late` is asked now and then: true ends the player.
  int follow(PlayerProcess& player, uint64_t begin, uint64_t end,
             const std::function<bool()>& is_late);

  // By name.
  std::map<std::string, uint64_t> counts() const;

 private:
  void count(pid_t thread, uint64_t begin, uint64_t end);

  std::map<uint64_t, uint64_t> counts_;  // by number
};

}  // namespace tide::replay
