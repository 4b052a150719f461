#include "fleet/database_address.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "host/error.h"

namespace tide::fleet {
namespace {

DatabaseAddress parse(std::string_view text) { return parse_database(text, "", false); }

TEST(DatabaseAddress, AFile) {
  EXPECT_EQ(parse("fleet.db").path, "fleet.db");
  EXPECT_EQ(parse("/a/b").text(), "/a/b");
}

TEST(DatabaseAddress, AServer) {
  setenv("TIDE_FLEET_PASSWORD", "hush", 1);
  const DatabaseAddress address = parse("clickhouse://me@127.0.0.1:18123/heaps");
  unsetenv("TIDE_FLEET_PASSWORD");
  EXPECT_EQ(address.user, "me");
  EXPECT_EQ(address.password, "hush");
  EXPECT_EQ(address.database, "heaps");
  ASSERT_EQ(address.endpoints.size(), 1u);
  EXPECT_EQ(address.endpoints[0].host, "127.0.0.1");
  EXPECT_EQ(address.endpoints[0].port, 18123);
  EXPECT_EQ(address.text(), "clickhouse://me@127.0.0.1:18123/heaps");
}

TEST(DatabaseAddress, ACluster) {
  const DatabaseAddress address = parse("clickhouse://[::1]:1,localhost:2,127.0.0.9/d?cluster=c");
  ASSERT_EQ(address.endpoints.size(), 3u);
  EXPECT_EQ(address.endpoints[0].host, "::1");
  EXPECT_EQ(address.endpoints[2].port, 8123);
  EXPECT_EQ(address.cluster, "c");
  EXPECT_EQ(address.text(), "clickhouse://[::1]:1,localhost:2,127.0.0.9:8123/d?cluster=c");
}

TEST(DatabaseAddress, OtherMachinesNeedTlsUnlessToldOtherwise) {
  EXPECT_THROW(parse("clickhouse://db.example/d"), host::Error);
  EXPECT_NO_THROW(parse_database("clickhouse://db.example/d", "", true));
  EXPECT_EQ(parse("clickhouse+https://db.example/d").endpoints[0].port, 8443);
  EXPECT_TRUE(is_loopback("127.1.2.3"));
  EXPECT_FALSE(is_loopback("127.evil.example"));
  EXPECT_FALSE(is_loopback("0.0.0.0"));
}

TEST(DatabaseAddress, APasswordInItIsRefusedAndNotRepeated) {
  try {
    parse("clickhouse://me:hush@127.0.0.1/d");
    FAIL();
  } catch (const host::Error& error) {
    EXPECT_EQ(std::string(error.what()).find("hush"), std::string::npos);
    EXPECT_EQ(error.exit_status(), host::kExitUsage);
  }
}

TEST(DatabaseAddress, WhatIsNone) {
  for (const char* const text :
       {"", "clickhouse://", "clickhouse://h", "clickhouse://h/", "clickhouse://:1/d",
        "clickhouse://127.0.0.1:0/d", "clickhouse://127.0.0.1:70000/d",
        "clickhouse://127.0.0.1:x/d", "clickhouse://127.0.0.1/d;DROP", "clickhouse://[::1/d",
        "clickhouse://127.0.0.1/d?x=1", "clickhouse://127.0.0.1,127.0.0.2/d", "mysql://h/d",
        "clickhouse://a b@127.0.0.1/d", "clickhouse://127.0.0.1\\x/d"}) {
    EXPECT_THROW(parse(text), host::Error) << text;
  }
}

}  // namespace
}  // namespace tide::fleet
