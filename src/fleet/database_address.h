// Where a database is: the text behind --db.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tide::fleet {

struct DatabaseAddress {
  struct Endpoint {
    std::string host;
    uint16_t port = 0;
  };

  std::string path;                 // of SQLite's file; empty: ClickHouse
  std::vector<Endpoint> endpoints;  // one, or all shards of a cluster
  bool has_tls = false;
  std::string user;
  std::string password;  // never shown
  std::string database;
  std::string cluster;  // empty: one server

  // Without a password.
  std::string text() const;
};

// FILE, sqlite://FILE, clickhouse://USER@HOST:PORT/DB, clickhouse+https://...; several servers with
// commas between and ?cluster=NAME. The password is in the file, else in TIDE_FLEET_PASSWORD; one
// in the address is refused. Unless `is_plain_allowed`, only loopback addresses may do without TLS.
// Throws host::Error, kExitUsage.
DatabaseAddress parse_database(std::string_view text, const std::string& password_file,
                               bool is_plain_allowed);

// Whether it can only be this machine.
bool is_loopback(std::string_view host);

}  // namespace tide::fleet
