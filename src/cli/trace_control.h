// How a recording is steered from outside: a socket in the trace's folder, a line there, a line
// back.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "trace/collector.h"

namespace tide::cli {

// Takes commands as long as it lives. Where the socket can't be made, there is none.
class TraceControl {
 public:
  TraceControl(const std::string& folder, trace::Collector& collector);
  ~TraceControl();
  TraceControl(const TraceControl&) = delete;
  TraceControl& operator=(const TraceControl&) = delete;

 private:
  void serve();

  std::string path_;
  trace::Collector& collector_;
  int listener_ = -1;
  std::thread thread_;
};

// `tide trace --control FOLDER COMMAND...`. Throws host::Error when nobody records there, or the
// command is none.
void send_control(const std::string& folder, const std::vector<std::string>& command);

}  // namespace tide::cli
