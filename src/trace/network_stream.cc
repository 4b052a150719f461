#include "trace/network_stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "host/error.h"
#include "host/secret.h"
#include "host/wait_for.h"

namespace tide::trace {

void NetworkStream::fail(const char* what) {
  throw host::Error(fmt::format("the connection to {} is lost ({})", other_, what));
}

void NetworkStream::send(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t sent = ::send(socket_.get(), at, bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) fail(std::strerror(errno));
    at += sent;
    bytes -= static_cast<size_t>(sent);
  }
}

void NetworkStream::receive(void* data, size_t bytes) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    if (deadline_ && !host::wait_for(socket_.get(), POLLIN, *deadline_)) fail("it is too slow");
    const ssize_t got = recv(socket_.get(), at, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(std::strerror(errno));
    if (got == 0) fail("the other side has closed it");
    at += got;
    bytes -= static_cast<size_t>(got);
  }
}

std::string NetworkStream::receive_text(size_t bytes) {
  std::string text(bytes, '\0');
  receive(text.data(), bytes);
  return text;
}

void NetworkStream::hang_up() {
  // Closing with bytes that nobody has read would take back what was sent.
  constexpr int kMostReads = 64;
  char rest[1024];
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  shutdown(socket_.get(), SHUT_WR);
  for (int i = 0; i < kMostReads && host::wait_for(socket_.get(), POLLIN, deadline); ++i) {
    if (recv(socket_.get(), rest, sizeof rest, 0) <= 0) return;
  }
}

std::string read_token(const std::string& file) {
  std::string token = host::read_secret(file, "TIDE_TRACE_TOKEN");
  if (token.size() > kMostToken) {
    throw host::Error(fmt::format("the token is longer than {} bytes", kMostToken));
  }
  return token;
}

bool is_same_token(std::string_view a, std::string_view b) {
  volatile unsigned difference = a.size() == b.size() ? 0u : 1u;
  for (size_t i = 0; i < kMostToken; ++i) {
    const char left = i < a.size() ? a[i] : '\0';
    const char right = i < b.size() ? b[i] : '\0';
    difference = difference | static_cast<unsigned>(static_cast<unsigned char>(left ^ right));
  }
  return difference == 0;
}

}  // namespace tide::trace
