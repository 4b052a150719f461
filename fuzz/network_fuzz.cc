// Any bytes from the network: to who receives traces and to who shows metrics. Both stay there for
// the next one, and nothing is written outside of the trace's own folder.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <thread>

#include "fleet/metrics_server.h"
#include "fuzz/input.h"
#include "trace/network_server.h"
#include "trace/network_stream.h"

namespace {

namespace fs = std::filesystem;
namespace trace = tide::trace;

constexpr std::string_view kToken = "token";

struct Servers {
  fs::path top = fs::temp_directory_path() / ("tide-fuzz-" + std::to_string(getpid()));
  trace::NetworkServer traces{{.token = std::string(kToken),
                               .folder = (top / "traces").string(),
                               .report = [](const std::string&) {}}};
  std::thread traces_thread{[this] { traces.run(); }};
  tide::fleet::MetricsServer metrics{{"127.0.0.1", 0}, [] { return std::string("up 1\n"); }};

  Servers() { fs::create_directories(top); }
  ~Servers() {
    traces.stop();
    traces_thread.join();
    std::error_code error;
    fs::remove_all(top, error);
  }
};

// Sends all of it and reads until the other side hangs up.
std::string say(uint16_t port, std::string_view bytes) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  fuzz::require(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  // It may have enough before the end.
  while (!bytes.empty()) {
    const ssize_t count = send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) break;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  shutdown(connection, SHUT_WR);
  std::string answer;
  char piece[512];
  for (ssize_t count; (count = recv(connection, piece, sizeof piece, 0)) > 0;) {
    answer.append(piece, static_cast<size_t>(count));
  }
  close(connection);
  return answer;
}

// A hello that is let in, and then the bytes.
std::string with_hello(std::string_view bytes) {
  trace::HelloHead hello{};
  std::copy(std::begin(trace::kNetworkMagic), std::end(trace::kNetworkMagic), hello.magic);
  hello.version = trace::kNetworkVersion;
  hello.token_bytes = kToken.size();
  std::string message(reinterpret_cast<const char*>(&hello), sizeof hello);
  return message.append(kToken).append(bytes);
}

void expect_only_traces(const fs::path& top) {
  for (const auto& entry : fs::directory_iterator(top)) {
    fuzz::require(entry.path().filename() == "traces");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Servers servers;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 3) {
    case 0:
      say(servers.metrics.port(), bytes);
      fuzz::require(
          say(servers.metrics.port(), "GET /metrics HTTP/1.0\r\n\r\n").ends_with("up 1\n"));
      break;
    case 1:
      say(servers.traces.port(), bytes);
      break;
    default:
      say(servers.traces.port(), with_hello(bytes));
  }
  expect_only_traces(servers.top);
  fs::remove_all(servers.top / "traces");
  return 0;
}
