#include "fleet/database_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "host/error.h"

namespace tide::fleet {
namespace {

constexpr std::string_view kPlain = "clickhouse://";
constexpr std::string_view kTls = "clickhouse+https://";
constexpr std::string_view kFile = "sqlite://";
constexpr uint16_t kPlainPort = 8123;
constexpr uint16_t kTlsPort = 8443;

[[noreturn]] void fail(std::string_view text, std::string_view what) {
  throw host::Error(
      fmt::format("--db: '{}' {}; it is a file or clickhouse://USER@HOST:PORT/DB", text, what),
      host::kExitUsage);
}

// For SQL and for addresses: nothing in it needs a quote.
bool is_name(std::string_view text) {
  return !text.empty() && text.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
                              "-.") == std::string_view::npos;
}

DatabaseAddress::Endpoint parse_endpoint(std::string_view text, std::string_view part,
                                         uint16_t usual_port) {
  DatabaseAddress::Endpoint endpoint;
  endpoint.port = usual_port;
  std::string_view port;
  if (part.starts_with('[')) {
    const size_t end = part.find(']');
    if (end == std::string_view::npos) fail(text, "has a '[' without its ']'");
    endpoint.host = part.substr(1, end - 1);
    port = part.substr(end + 1);
  } else {
    const size_t colon = part.rfind(':');
    endpoint.host = part.substr(0, colon);
    if (colon != std::string_view::npos) port = part.substr(colon);
  }
  if (endpoint.host.empty()) fail(text, "names no host");
  if (endpoint.host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789_-.:") != std::string::npos) {
    fail(text, "has a host that is none");
  }
  if (!port.empty()) {
    const auto [end, fault] =
        std::from_chars(port.data() + 1, port.data() + port.size(), endpoint.port);
    if (port[0] != ':' || fault != std::errc() || end != port.data() + port.size() ||
        endpoint.port == 0) {
      fail(text, "has a port that is none");
    }
  }
  return endpoint;
}

std::string read_password(const std::string& file) {
  if (file.empty()) {
    const char* const variable = std::getenv("TIDE_FLEET_PASSWORD");
    return variable == nullptr ? "" : variable;
  }
  std::ifstream in(file);
  std::string line;
  if (!in.is_open() || (!std::getline(in, line) && !in.eof())) {
    throw host::Error(
        fmt::format("--password-file: '{}' can't be read: {}", file, std::strerror(errno)));
  }
  return line;
}

}  // namespace

bool is_loopback(std::string_view host) {
  if (host == "localhost") return true;
  in_addr four{};
  in6_addr six{};
  const std::string text(host);
  if (inet_pton(AF_INET, text.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
  return inet_pton(AF_INET6, text.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six) != 0;
}

std::string DatabaseAddress::text() const {
  if (!path.empty()) return path;
  std::string text(has_tls ? kTls : kPlain);
  if (!user.empty()) text += user + "@";
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const bool is_six = endpoints[i].host.find(':') != std::string::npos;
    text += fmt::format("{}{}{}{}:{}", i == 0 ? "" : ",", is_six ? "[" : "", endpoints[i].host,
                        is_six ? "]" : "", endpoints[i].port);
  }
  text += "/" + database;
  return cluster.empty() ? text : text + "?cluster=" + cluster;
}

DatabaseAddress parse_database(std::string_view text, const std::string& password_file,
                               bool is_plain_allowed) {
  DatabaseAddress address;
  if (text.empty()) fail(text, "is empty");
  if (text.starts_with(kFile) && text.size() > kFile.size()) {
    address.path = text.substr(kFile.size());
    return address;
  }
  address.has_tls = text.starts_with(kTls);
  if (!address.has_tls && !text.starts_with(kPlain)) {
    if (text.find("://") != std::string_view::npos) fail(text, "is of a kind that is not known");
    address.path = text;
    return address;
  }
  std::string_view rest = text.substr(address.has_tls ? kTls.size() : kPlain.size());
  const size_t at = rest.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    if (user.find(':') != std::string_view::npos) {
      // The text may be in a list of processes; it is not repeated here.
      throw host::Error(
          "--db: a password has no place in an address; put it into TIDE_FLEET_PASSWORD or a "
          "--password-file",
          host::kExitUsage);
    }
    if (!is_name(user)) fail(text, "has a user that is none");
    address.user = user;
    rest = rest.substr(at + 1);
  }
  constexpr std::string_view kCluster = "?cluster=";
  if (const size_t mark = rest.find('?'); mark != std::string_view::npos) {
    if (!rest.substr(mark).starts_with(kCluster)) fail(text, "has a part behind '?' but cluster=");
    address.cluster = rest.substr(mark + kCluster.size());
    if (!is_name(address.cluster)) fail(text, "has a cluster that is none");
    rest = rest.substr(0, mark);
  }
  const size_t slash = rest.find('/');
  address.database = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  if (address.database.empty()) fail(text, "names no database");
  if (!is_name(address.database)) fail(text, "has a database that is none");
  rest = rest.substr(0, slash);
  while (true) {
    const size_t comma = rest.find(',');
    address.endpoints.push_back(
        parse_endpoint(text, rest.substr(0, comma), address.has_tls ? kTlsPort : kPlainPort));
    if (comma == std::string_view::npos) break;
    rest = rest.substr(comma + 1);
  }
  if (address.endpoints.size() > 1 && address.cluster.empty()) {
    fail(text, "has several servers without ?cluster=NAME");
  }
  for (const DatabaseAddress::Endpoint& endpoint : address.endpoints) {
    if (address.has_tls || is_plain_allowed || is_loopback(endpoint.host)) continue;
    throw host::Error(fmt::format("--db: {} is another machine, and this address has no TLS; use "
                                  "clickhouse+https://, or --plain in a network that is your own",
                                  endpoint.host),
                      host::kExitUsage);
  }
  address.password = read_password(password_file);
  return address;
}

}  // namespace tide::fleet
