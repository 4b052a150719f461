// Profiles of processes that are sampled, for the fleet. Names of functions take memory, so they
// are looked up in a process of its own: `tide agent --profiles-to FILE PID...`.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "host/proc.h"

namespace tide::cli {

// In that process: writes a batch. Processes that have ended meanwhile are left out.
void write_profiles(const host::Proc& proc, const std::string& host, const std::string& path,
                    const std::vector<int>& pids);

// In the agent: at most one such process at a time.
class ProfileCollector {
 public:
  ProfileCollector(std::string host, std::string path)
      : host_(std::move(host)), path_(std::move(path)) {}
  ~ProfileCollector();

  // Nothing happens while one is at work.
  void start(const std::vector<int>& pids);
  // Whether one has come to its end since: its batch is in the file.
  bool is_done();

 private:
  const std::string host_;
  const std::string path_;
  pid_t child_ = 0;
};

}  // namespace tide::cli
