// Receives traces that NetworkOutput sends: each into a folder of its own, several at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "host/file_descriptor.h"

namespace tide::trace {

struct ServerSettings {
  std::string bind_to = "127.0.0.1";
  uint16_t port = 0;  // 0: any
  std::string token;
  std::string folder;
  std::function<void(const std::string&)> report;    // one line for the user; any thread
  std::chrono::milliseconds hello_patience{10'000};  // for a sender to say who it is
};

class NetworkServer {
 public:
  // Listens from now on. Throws host::Error.
  explicit NetworkServer(ServerSettings settings);
  // As stop(), and waits for the senders that are there.
  ~NetworkServer();

  uint16_t port() const { return port_; }

  // Until stop().
  void run();
  // Takes nobody more and hangs up. May be called by any thread.
  void stop();

 private:
  struct Sender {
    int socket;  // -1: it is gone
    std::thread thread;
  };

  void serve(Sender& sender, const std::string& who);
  std::string make_folder(const std::string& wanted);
  void join_those_gone();

  ServerSettings settings_;
  host::FileDescriptor listener_;
  uint16_t port_ = 0;
  std::atomic<bool> must_stop_{false};
  std::mutex mutex_;  // of what follows
  std::list<Sender> senders_;
};

}  // namespace tide::trace
