// Sends a trace to `tide trace --collect` on another machine.
//
// What is sent is gone from here: when the other side is slow, send() takes long, the arena fills
// up, and threads of the program wait or events are dropped, as the user has chosen. When the
// connection is lost, the trace ends; what the other side has until then is whole.
#pragma once

#include <string>

#include "trace/network_stream.h"
#include "trace/trace_output.h"

namespace tide::trace {

class NetworkOutput : public TraceOutput {
 public:
  // `address` is tcp://HOST:PORT, `name` what the folder there should be called.
  NetworkOutput(const std::string& address, const std::string& token, const std::string& name);

  void put(const std::string& name, std::string_view content) override;
  void append(const std::string& name, Bytes first, Bytes second) override;
  void close(const std::string& name) override;
  void finish() override;

  // Where the other side puts it, in its own words.
  const std::string& place() const { return place_; }

 private:
  void send_head(FrameKind kind, const std::string& name, uint64_t bytes);
  std::string receive_reply();

  NetworkStream stream_;
  std::string place_;
};

}  // namespace tide::trace
