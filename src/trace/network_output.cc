#include "trace/network_output.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "host/error.h"

namespace tide::trace {
namespace {

struct HostAndPort {
  std::string host;
  std::string port;
};

HostAndPort split_address(const std::string& address) {
  constexpr std::string_view kScheme = "tcp://";
  const size_t colon = address.rfind(':');
  if (!address.starts_with(kScheme) || colon <= kScheme.size() || colon + 1 == address.size()) {
    throw host::Error(fmt::format("'{}' is not of the form tcp://HOST:PORT", address),
                      host::kExitUsage);
  }
  std::string name = address.substr(kScheme.size(), colon - kScheme.size());
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  }
  return {name, address.substr(colon + 1)};
}

int connect_to(const std::string& address) {
  const HostAndPort place = split_address(address);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int fault = getaddrinfo(place.host.c_str(), place.port.c_str(), &hints, &list);
  if (fault != 0) {
    throw host::Error(fmt::format("cannot find '{}': {}", address, gai_strerror(fault)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, freeaddrinfo);
  int cause = 0;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    const int descriptor = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (descriptor >= 0 && connect(descriptor, at->ai_addr, at->ai_addrlen) == 0) {
      return descriptor;
    }
    cause = errno;
    if (descriptor >= 0) close(descriptor);
  }
  throw host::Error(fmt::format("cannot connect to '{}': {}; is 'tide trace --collect' running?",
                                address, std::strerror(cause)));
}

}  // namespace

NetworkOutput::NetworkOutput(const std::string& address, const std::string& token,
                             const std::string& name)
    : stream_(connect_to(address), address) {
  HelloHead hello{};
  memcpy(hello.magic, kNetworkMagic, sizeof hello.magic);
  hello.version = kNetworkVersion;
  hello.token_bytes = static_cast<uint32_t>(token.size());
  hello.name_bytes = static_cast<uint32_t>(name.size());
  stream_.send_structure(hello);
  stream_.send(token);
  stream_.send(name);
  place_ = receive_reply();
}

std::string NetworkOutput::receive_reply() {
  ReplyHead reply;
  stream_.receive_structure(reply);
  if (reply.text_bytes > kMostName) {
    throw host::Error(fmt::format("{} is no 'tide trace --collect'", stream_.other()));
  }
  const std::string text = stream_.receive_text(reply.text_bytes);
  if (reply.is_refused != 0) {
    throw host::Error(fmt::format("{} refuses: {}", stream_.other(), text));
  }
  return text;
}

void NetworkOutput::send_head(FrameKind kind, const std::string& name, uint64_t bytes) {
  stream_.send_structure(FrameHead{kind, static_cast<uint32_t>(name.size()), bytes});
  stream_.send(name);
}

void NetworkOutput::put(const std::string& name, std::string_view content) {
  send_head(FrameKind::kPut, name, content.size());
  stream_.send(content);
}

void NetworkOutput::append(const std::string& name, Bytes first, Bytes second) {
  send_head(FrameKind::kAppend, name, first.size() + second.size());
  stream_.send(first.data(), first.size());
  stream_.send(second.data(), second.size());
  count(first.size() + second.size());
}

void NetworkOutput::close(const std::string& name) { send_head(FrameKind::kClose, name, 0); }

void NetworkOutput::finish() {
  send_head(FrameKind::kFinish, {}, 0);
  receive_reply();
}

}  // namespace tide::trace
