#include "trace/network_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "trace/network_stream.h"

namespace tide::trace {
namespace {

host::FileDescriptor connection_to(uint16_t port) {
  host::FileDescriptor connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            0);
  return connection;
}

// Until the other side hangs up.
std::string answer_to(uint16_t port, const std::string& message) {
  const host::FileDescriptor connection = connection_to(port);
  send(connection.get(), message.data(), message.size(), MSG_NOSIGNAL);
  shutdown(connection.get(), SHUT_WR);
  std::string answer;
  char piece[512];
  for (ssize_t count; (count = recv(connection.get(), piece, sizeof piece, 0)) > 0;) {
    answer.append(piece, static_cast<size_t>(count));
  }
  return answer;
}

std::string hello_with(const std::string& token, const std::string& name) {
  HelloHead hello{};
  std::copy(std::begin(kNetworkMagic), std::end(kNetworkMagic), hello.magic);
  hello.version = kNetworkVersion;
  hello.token_bytes = static_cast<uint32_t>(token.size());
  hello.name_bytes = static_cast<uint32_t>(name.size());
  return std::string(reinterpret_cast<const char*>(&hello), sizeof hello) + token + name;
}

size_t mapping_count() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) ++count;
  return count;
}

TEST(NetworkServer, KeepsNothingOfThoseWhoAreGone) {
  NetworkServer server({.token = "t", .folder = "/nonexistent", .report = [](const auto&) {}});
  std::thread thread([&] { server.run(); });
  const std::string nonsense = "GET / HTTP/1.1\r\nHost: somebody\r\n\r\n";
  answer_to(server.port(), nonsense);
  const size_t before = mapping_count();
  for (int i = 0; i < 300; ++i) answer_to(server.port(), nonsense);
  const size_t after = mapping_count();
  server.stop();
  thread.join();
  EXPECT_LT(after, before + 200) << "a thread's stack and its guard are two";
}

TEST(NetworkServer, WhoTricklesIsCutOff) {
  NetworkServer server({.token = "t",
                        .folder = "/nonexistent",
                        .report = [](const auto&) {},
                        .hello_patience = std::chrono::milliseconds(100)});
  std::thread thread([&] { server.run(); });
  const host::FileDescriptor slow = connection_to(server.port());
  const std::string hello = hello_with(std::string(kMostToken, 't'), std::string(64, 'a'));
  size_t sent = 0;
  for (pollfd waiting{slow.get(), POLLIN, 0}; sent < hello.size() && poll(&waiting, 1, 10) == 0;) {
    send(slow.get(), &hello[sent++], 1, MSG_NOSIGNAL);
  }
  EXPECT_LT(sent, hello.size());
  server.stop();
  thread.join();
}

// The system would cut it off, and the folder be there whatever number is put behind it.
TEST(NetworkServer, ANameWithAZeroByteIsNone) {
  const std::string top = testing::TempDir() + "network_server_" + std::to_string(getpid());
  NetworkServer server({.token = "t", .folder = top, .report = [](const auto&) {}});
  std::thread thread([&] { server.run(); });
  const std::string answer = answer_to(server.port(), hello_with("t", std::string("a\0b", 3)));
  EXPECT_NE(answer.find("/trace"), std::string::npos) << answer;
  server.stop();
  thread.join();
  EXPECT_FALSE(std::filesystem::exists(top + "/a"));
  std::filesystem::remove_all(top);
}

}  // namespace
}  // namespace tide::trace
