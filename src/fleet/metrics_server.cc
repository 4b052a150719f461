#include "fleet/metrics_server.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

#include "fleet/database_address.h"
#include "host/error.h"
#include "host/wait_for.h"

namespace tide::fleet {
namespace {

constexpr size_t kMostRequest = 16 << 10;

int listen_at(const ListenAddress& address) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  const int fault = getaddrinfo(address.host.c_str(), port.c_str(), &wanted, &found);
  if (fault != 0) {
    throw host::Error(fmt::format("--listen: '{}' is no address of this machine: {}", address.host,
                                  gai_strerror(fault)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, freeaddrinfo);
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int one = 1;
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  constexpr int kWaiting = 16;
  if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, kWaiting) != 0) {
    const int error = errno;
    if (fd >= 0) close(fd);
    throw host::Error(fmt::format("can't listen at {}:{}: {}; choose another with --listen",
                                  address.host, address.port, std::strerror(error)));
  }
  return fd;
}

uint16_t port_of(int fd) {
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length);
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                           : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
}

using Deadline = std::chrono::steady_clock::time_point;

void send_all(int connection, std::string_view text, Deadline deadline) {
  while (!text.empty() && host::wait_for(connection, POLLOUT, deadline)) {
    const ssize_t count = send(connection, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count <= 0) return;
    text.remove_prefix(static_cast<size_t>(count));
  }
}

// Its first line and heads; empty when none comes.
std::string read_request(int connection, Deadline deadline) {
  std::string request;
  char piece[2048];
  while (request.find("\r\n\r\n") == std::string::npos && request.size() < kMostRequest) {
    if (!host::wait_for(connection, POLLIN, deadline)) return {};
    const ssize_t count = recv(connection, piece, sizeof piece, MSG_DONTWAIT);
    if (count <= 0) return {};
    request.append(piece, static_cast<size_t>(count));
  }
  return request;
}

}  // namespace

ListenAddress parse_listen(const std::string& text, bool is_anywhere_allowed) {
  const auto fail = [&](const std::string& what) {
    throw host::Error(fmt::format("--listen: '{}' {}", text, what), host::kExitUsage);
  };
  ListenAddress address;
  const size_t colon = text.rfind(':');
  if (text.find("://") != std::string::npos) {
    fail("is more than HOST:PORT; it is plain HTTP, for TLS put a proxy in front of it");
  }
  if (colon == std::string::npos) fail("is not HOST:PORT");
  address.host = text.substr(0, colon);
  if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  const char* const end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (fault != std::errc() || stop != end || address.host.empty()) fail("is not HOST:PORT");
  if (!is_anywhere_allowed && !is_loopback(address.host)) {
    fail("can be reached from other machines; if that is wanted: --listen-anywhere");
  }
  return address;
}

MetricsServer::MetricsServer(const ListenAddress& address, std::function<std::string()> page,
                             std::chrono::milliseconds patience)
    : page_(std::move(page)),
      patience_(patience),
      listener_(listen_at(address)),
      end_(eventfd(0, EFD_CLOEXEC)),
      port_(port_of(listener_.get())),
      thread_([this] { run(); }) {}

MetricsServer::~MetricsServer() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t done = write(end_.get(), &one, sizeof one);
  thread_.join();
}

void MetricsServer::run() {
  while (true) {
    pollfd waiting[] = {{listener_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) return;
    if (waiting[0].revents == 0) continue;
    const host::FileDescriptor connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection.get() < 0) continue;
    serve(connection.get());
  }
}

void MetricsServer::serve(int connection) {
  const std::string request =
      read_request(connection, std::chrono::steady_clock::now() + patience_);
  const std::string_view line = std::string_view(request).substr(0, request.find("\r\n"));
  const bool is_get = line.starts_with("GET ");
  const bool is_head = line.starts_with("HEAD ");
  const size_t start = line.find(' ');
  std::string_view path = start == std::string_view::npos ? "" : line.substr(start + 1);
  path = path.substr(0, path.find_first_of(" ?"));
  std::string status = "200 OK";
  std::string body;
  std::string type = "text/plain; charset=utf-8";
  if (line.empty()) return;
  if (!is_get && !is_head) {
    status = "405 Method Not Allowed\r\nAllow: GET, HEAD";
  } else if (path == "/metrics") {
    type = "text/plain; version=0.0.4; charset=utf-8";
    body = page_();
  } else if (path == "/") {
    body = "tide agent: see /metrics\n";
  } else {
    status = "404 Not Found";
    body = "tide agent has /metrics only\n";
  }
  const Deadline deadline = std::chrono::steady_clock::now() + patience_;
  send_all(connection,
           fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
                       "Connection: close\r\n\r\n",
                       status, type, body.size()),
           deadline);
  if (!is_head) send_all(connection, body, deadline);
}

}  // namespace tide::fleet
