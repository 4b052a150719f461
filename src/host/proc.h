// The files of /proc about processes. The folder is a parameter: tests bring one of their own.
//
// A process may end between two calls; what cannot be read is an Error that says why, in the words
// for a user: gone, or not permitted and what to do about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/error.h"

namespace tide::host {

// The process is there, but not for this user.
class NotPermitted : public Error {
 public:
  using Error::Error;
};

class Proc {
 public:
  explicit Proc(std::string root = "/proc") : root_(std::move(root)) {}

  // Whether these are the system's own files, so that a number means a process that runs.
  bool is_of_this_system() const { return root_ == "/proc"; }

  // All processes, lowest number first.
  std::vector<int> processes() const;
  // The numbers of a process's threads; none when it is gone.
  std::vector<int> threads(int pid) const;

  // The whole of PID/NAME. Throws Error.
  std::string read(int pid, std::string_view name) const;
  // Nothing when it cannot be read.
  std::optional<std::string> try_read(int pid, std::string_view name) const;
  // Where the link PID/NAME leads to; empty when that is not to be seen.
  std::string link_target(int pid, std::string_view name) const;
  std::string path(int pid, std::string_view name) const;

  // The short name, without the line end, for a terminal.
  std::string command(int pid) const;
  // A field of PID/status in bytes, such as "VmRSS"; 0 when it is not there.
  uint64_t status_bytes(int pid, std::string_view field) const;

  // Tells the process's PID namespace from others; 0: not to be seen.
  uint64_t pid_namespace(int pid) const;
  // The process's number in its own PID namespace, and that of one of its threads.
  int number_inside(int pid) const;
  int thread_number_inside(int pid, int thread) const;
  // The process that has that number in that namespace; 0: there is none, or it is not to be seen.
  int find(uint64_t pid_namespace, int number_inside) const;

  // Throws Error when there is no process of that number.
  void require(int pid) const;
  [[noreturn]] void fail_not_permitted(int pid) const;

 private:
  std::string root_;
};

// The number behind `field` and a colon in a text of lines "Field:   123 kB", in bytes; a number
// without "kB" as it is. Nothing when the line is not there.
std::optional<uint64_t> field_value(std::string_view text, std::string_view field);

}  // namespace tide::host
