#include "trace/network_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "format/trace_file.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "trace/network_stream.h"
#include "trace/trace_output.h"

namespace tide::trace {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostSenders = 256;

bool is_plain(const std::string& part) {
  constexpr std::string_view kOthers = "-_+.";
  return !part.empty() && part.front() != '.' && std::all_of(part.begin(), part.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           kOthers.find(c) != std::string_view::npos;
  });
}

// Names of a trace's files, and no others: nothing outside of its folder.
bool is_file_name(const std::string& name) {
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return name == format::kTraceFile;
  const std::string file = name.substr(slash + 1);
  return is_plain(name.substr(0, slash)) &&
         (file == format::kProcessFile || file == format::kEventsFile ||
          file == format::kSymbolsFile);
}

int listen_at(const ServerSettings& settings) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST;
  addrinfo* list = nullptr;
  const std::string port = std::to_string(settings.port);
  const int fault = getaddrinfo(settings.bind_to.c_str(), port.c_str(), &hints, &list);
  if (fault != 0) {
    throw host::Error(
        fmt::format("--bind: '{}' is no address: {}", settings.bind_to, gai_strerror(fault)),
        host::kExitUsage);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, freeaddrinfo);
  const int descriptor = socket(list->ai_family, list->ai_socktype | SOCK_CLOEXEC, 0);
  const int yes = 1;
  if (descriptor < 0 || setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      bind(descriptor, list->ai_addr, list->ai_addrlen) != 0 || listen(descriptor, 16) != 0) {
    throw host::Error(fmt::format("cannot listen at {} port {}: {}", settings.bind_to,
                                  settings.port, std::strerror(errno)));
  }
  return descriptor;
}

uint16_t port_of(int socket) {
  sockaddr_storage address{};
  socklen_t bytes = sizeof address;
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &bytes);
  // At the same place in both.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

std::string name_of(const sockaddr_storage& address, socklen_t bytes) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), bytes, host, sizeof host, port,
                  sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "somebody";
  }
  return fmt::format("{}:{}", host, port);
}

void reply(NetworkStream& stream, bool is_refused, const std::string& text) {
  const std::string cut = text.substr(0, kMostName);
  stream.send_structure(ReplyHead{is_refused ? 1u : 0u, static_cast<uint32_t>(cut.size())});
  stream.send(cut);
}

// The folder that the sender wants; after the token was right.
std::string receive_hello(NetworkStream& stream, const std::string& token) {
  HelloHead hello;
  stream.receive_structure(hello);
  const auto refuse = [&](const std::string& why) {
    reply(stream, true, why);
    stream.hang_up();
    throw host::Error(fmt::format("{} was refused: {}", stream.other(), why));
  };
  if (memcmp(hello.magic, kNetworkMagic, sizeof hello.magic) != 0) {
    refuse("that is no 'tide trace --to'");
  }
  if (hello.version != kNetworkVersion) {
    refuse(fmt::format("it speaks version {}, and this tide version {}", hello.version,
                       kNetworkVersion));
  }
  if (hello.token_bytes > kMostToken || hello.name_bytes > kMostName)
    refuse("its hello is damaged");
  const std::string given = stream.receive_text(hello.token_bytes);
  const std::string name = stream.receive_text(hello.name_bytes);
  if (!is_same_token(given, token)) {
    refuse("the token is wrong; give both sides the same by --token-file or TIDE_TRACE_TOKEN");
  }
  return is_plain(name) ? name : "trace";
}

// Takes no more memory than has come: the length is what somebody says.
void receive_data(NetworkStream& stream, uint64_t bytes, std::vector<uint8_t>& data) {
  constexpr size_t kStep = size_t{4} << 20;
  data.clear();
  while (data.size() != bytes) {
    const size_t had = data.size();
    data.resize(had + std::min<uint64_t>(kStep, bytes - had));
    stream.receive(data.data() + had, data.size() - had);
  }
}

// True at the end of the trace.
bool receive_frame(NetworkStream& stream, FolderOutput& output, std::vector<uint8_t>& data) {
  FrameHead frame;
  stream.receive_structure(frame);
  if (frame.name_bytes > kMostName || frame.data_bytes > kMostFrame) {
    throw host::Error(fmt::format("{} sends what is no frame", stream.other()));
  }
  const std::string name = stream.receive_text(frame.name_bytes);
  if (frame.kind == FrameKind::kFinish) return true;
  if (!is_file_name(name)) {
    throw host::Error(fmt::format("{} sends a file that no trace has", stream.other()));
  }
  receive_data(stream, frame.data_bytes, data);
  switch (frame.kind) {
    case FrameKind::kPut:
      output.put(name, {reinterpret_cast<const char*>(data.data()), data.size()});
      break;
    case FrameKind::kAppend:
      output.append(name, data, {});
      break;
    default:
      output.close(name);
  }
  return false;
}

}  // namespace

NetworkServer::NetworkServer(ServerSettings settings)
    : settings_(std::move(settings)), listener_(listen_at(settings_)) {
  port_ = port_of(listener_.get());
}

NetworkServer::~NetworkServer() {
  stop();
  for (Sender& sender : senders_) sender.thread.join();
}

void NetworkServer::stop() {
  must_stop_ = true;
  const std::lock_guard lock(mutex_);
  for (const Sender& sender : senders_) {
    if (sender.socket >= 0) shutdown(sender.socket, SHUT_RDWR);
  }
}

void NetworkServer::run() {
  constexpr int kLookMs = 100;
  while (!must_stop_) {
    pollfd poller{listener_.get(), POLLIN, 0};
    if (poll(&poller, 1, kLookMs) <= 0) continue;
    sockaddr_storage address{};
    socklen_t bytes = sizeof address;
    const int socket =
        accept4(listener_.get(), reinterpret_cast<sockaddr*>(&address), &bytes, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const std::lock_guard lock(mutex_);
    join_those_gone();
    if (senders_.size() >= kMostSenders) {
      close(socket);
      continue;
    }
    Sender& sender = senders_.emplace_back(Sender{socket, {}});
    sender.thread =
        std::thread([this, &sender, who = name_of(address, bytes)] { serve(sender, who); });
  }
}

// Else each would keep its stack for as long as the server runs.
void NetworkServer::join_those_gone() {
  for (auto sender = senders_.begin(); sender != senders_.end();) {
    if (sender->socket >= 0) {
      ++sender;
      continue;
    }
    sender->thread.join();
    sender = senders_.erase(sender);
  }
}

// A new folder of that name, or with a number behind it.
std::string NetworkServer::make_folder(const std::string& wanted) {
  for (unsigned i = 1;; ++i) {
    const fs::path path =
        fs::path(settings_.folder) / (i == 1 ? wanted : fmt::format("{}.{}", wanted, i));
    std::error_code error;
    fs::create_directories(settings_.folder, error);
    if (fs::create_directory(path, error)) return path.string();
    if (error) {
      throw host::Error(
          fmt::format("cannot make the folder '{}': {}", path.string(), error.message()));
    }
  }
}

void NetworkServer::serve(Sender& sender, const std::string& who) {
  NetworkStream stream(sender.socket, who);
  std::string folder;
  try {
    stream.set_deadline(std::chrono::steady_clock::now() + settings_.hello_patience);
    const std::string wanted = receive_hello(stream, settings_.token);
    stream.set_deadline({});
    folder = make_folder(wanted);
    FolderOutput output(folder);
    reply(stream, false, folder);
    settings_.report(fmt::format("{} sends '{}'", who, folder));
    std::vector<uint8_t> data;
    while (!receive_frame(stream, output, data)) continue;
    output.finish();
    reply(stream, false, folder);
    settings_.report(fmt::format("'{}' is complete: {}", folder, host::byte_text(output.bytes())));
  } catch (const std::exception& error) {
    settings_.report(folder.empty()
                         ? error.what()
                         : fmt::format("'{}' is not complete: {}", folder, error.what()));
  }
  const std::lock_guard lock(mutex_);
  sender.socket = -1;
}

}  // namespace tide::trace
