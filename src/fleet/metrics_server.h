// Serves one page, /metrics, over HTTP, in a thread of its own, a request at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "host/file_descriptor.h"

namespace tide::fleet {

// "127.0.0.1:9464", "[::1]:9464"; port 0: one that is free. Unless `is_anywhere_allowed` the
// address has to be this machine's own.
struct ListenAddress {
  std::string host;
  uint16_t port = 0;
};
// Throws host::Error, kExitUsage.
ListenAddress parse_listen(const std::string& text, bool is_anywhere_allowed);

class MetricsServer {
 public:
  // `page` is called in the server's thread. Who takes longer than `patience` to ask, or to take
  // the answer, goes without: the others wait for it. Throws host::Error.
  MetricsServer(const ListenAddress& address, std::function<std::string()> page,
                std::chrono::milliseconds patience = std::chrono::seconds(2));
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  uint16_t port() const { return port_; }

 private:
  void run();
  void serve(int connection);

  const std::function<std::string()> page_;
  const std::chrono::milliseconds patience_;
  host::FileDescriptor listener_;
  host::FileDescriptor end_;  // readable: it is over
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace tide::fleet
