// What the control groups of a process say about where it runs: in which container, and as what of
// the system's services.
#pragma once

#include <string>
#include <string_view>

namespace tide::host {

struct GroupPlace {
  // The process's group: of the unified hierarchy, or where it is in none, of the memory
  // controller's. Empty: not known.
  std::string path;
  // The innermost container: twelve digits of its number, as engines show it, or its name. Empty:
  // it is in none, or in one that groups do not tell.
  std::string container;
  // The unit of systemd, without ".service": in a container, of the container's own. Empty: none.
  std::string unit;
};

// Of the text of /proc/PID/cgroup.
GroupPlace group_place(std::string_view text);

}  // namespace tide::host
