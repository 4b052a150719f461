// What goes over the network: blocks for ClickHouse, and the page of metrics.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fleet/metrics_server.h"
#include "fleet/native_block.h"
#include "host/error.h"

namespace tide::fleet {
namespace {

TEST(NativeBlock, IsColumnsWithNamesAndTypes) {
  Rows rows(TableId::kFrames);
  rows.add({int64_t{1}, int64_t{-2}, std::string("ab")});
  rows.add({int64_t{256}, int64_t{0}, std::string()});
  const std::string block = native_block(rows, std::nullopt);
  using namespace std::string_literals;
  EXPECT_EQ(block,
            "\x03\x02"
            "\x05stack\x05Int64\x01\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0"
            "\x08position\x05Int64\xfe\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0"
            "\x08"
            "function\x06String\x02"
            "ab\0"s);
  const std::string attempt = native_block(rows, 7);
  EXPECT_EQ(attempt[0], '\x04');
  EXPECT_EQ(attempt.substr(block.size()),
            "\x05"
            "batch\x05Int64\x07\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0"s);
}

TEST(NativeBlock, NarrowColumnsAndLongCounts) {
  Rows rows(TableId::kTraceEvents);
  constexpr size_t kRows = 300;
  const Table& table = rows.table();
  for (size_t i = 0; i < table.columns.size(); ++i) rows.numbers(i).assign(kRows, -1);
  rows.set_size(kRows);
  const std::string block = native_block(rows, std::nullopt);
  EXPECT_EQ(block.substr(1, 2), "\xac\x02");  // 300
  size_t bytes = 3;
  for (const Column& column : table.columns) {
    bytes += 2 + column.name.size() + clickhouse_type(column.type).size();
    bytes += kRows * (column.type == Type::kInt8 ? 1 : column.type == Type::kInt32 ? 4 : 8);
  }
  EXPECT_EQ(block.size(), bytes);
}

TEST(ListenAddress, IsThisMachineUnlessTold) {
  EXPECT_EQ(parse_listen("127.0.0.1:0", false).port, 0);
  EXPECT_EQ(parse_listen("[::1]:9464", false).host, "::1");
  EXPECT_THROW(parse_listen("0.0.0.0:9464", false), host::Error);
  EXPECT_EQ(parse_listen("0.0.0.0:9464", true).port, 9464);
  for (const char* const text : {"", ":1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                                 "127.0.0.1:1x", "https://127.0.0.1:1"}) {
    EXPECT_THROW(parse_listen(text, true), host::Error) << text;
  }
}

host::FileDescriptor connection_to(uint16_t port) {
  host::FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

std::string answer_to(uint16_t port, std::string_view request) {
  const host::FileDescriptor fd = connection_to(port);
  EXPECT_EQ(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  shutdown(fd.get(), SHUT_WR);
  std::string answer;
  char piece[512];
  for (ssize_t count; (count = recv(fd.get(), piece, sizeof piece, 0)) > 0;) {
    answer.append(piece, static_cast<size_t>(count));
  }
  return answer;
}

// Byte by byte, each of them soon enough: without an end to it nobody else would get an answer.
TEST(MetricsServer, WhoTricklesIsCutOff) {
  const MetricsServer server(
      {"127.0.0.1", 0}, [] { return std::string("tide_x 1\n"); }, std::chrono::milliseconds(100));
  const host::FileDescriptor slow = connection_to(server.port());
  unsigned sent = 0;
  constexpr unsigned kMost = 2000;
  for (pollfd waiting{slow.get(), POLLIN, 0}; sent < kMost && poll(&waiting, 1, 10) == 0; ++sent) {
    send(slow.get(), "x", 1, MSG_NOSIGNAL);
  }
  EXPECT_LT(sent, kMost);
  EXPECT_TRUE(answer_to(server.port(), "GET /metrics HTTP/1.1\r\n\r\n").ends_with("tide_x 1\n"));
}

TEST(MetricsServer, AnswersWhatItHasAndNothingElse) {
  const MetricsServer server({"127.0.0.1", 0}, [] { return std::string("tide_x 1\n"); });
  const auto ask = [&](std::string_view line) {
    return answer_to(server.port(), std::string(line) + "\r\nHost: x\r\n\r\n");
  };
  const std::string page = ask("GET /metrics?x=1 HTTP/1.1");
  EXPECT_TRUE(page.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(page.find("Content-Length: 9\r\n"), std::string::npos);
  EXPECT_TRUE(page.ends_with("\r\n\r\ntide_x 1\n"));
  EXPECT_TRUE(ask("HEAD /metrics HTTP/1.1").ends_with("Connection: close\r\n\r\n"));
  EXPECT_TRUE(ask("GET /metricsx HTTP/1.1").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(ask("POST /metrics HTTP/1.1").starts_with("HTTP/1.1 405"));
  EXPECT_EQ(answer_to(server.port(), "GET /metrics"), "");
  EXPECT_EQ(answer_to(server.port(), ""), "");
  EXPECT_TRUE(ask("nonsense").starts_with("HTTP/1.1 405"));
}

}  // namespace
}  // namespace tide::fleet
