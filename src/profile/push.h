// Profiles for servers that collect them: what is sent to which address, and what it answers.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "host/http_client.h"
#include "profile/costs.h"
#include "profile/names.h"

namespace tide::profile {

enum class Interface {
  kPyroscope,      // POST /ingest, a form
  kPyroscopePush,  // POST /push.v1.PusherService/Push, Connect's JSON
  kParca,          // ProfileStoreService.WriteRaw by gRPC-Web, as Parca's own pages call it
  kParcaJson,      // POST /profiles/writeraw, for gateways that turn JSON into gRPC
};

struct PushTarget {
  Interface interface = Interface::kPyroscope;
  std::string url;  // of the server, without a slash at its end
};

// "http://HOST:PORT" is Pyroscope's; "pyroscope-push+http://", "parca+http://" and
// "parca-json+http://" are the others, each with https too. Throws host::Error (kExitUsage).
PushTarget parse_push_target(const std::string& text);

struct Credentials {
  std::string token;   // a bearer token, or with `user` a password
  std::string user;    // empty: none
  std::string tenant;  // for X-Scope-OrgID; empty: none
};

struct PushedProfile {
  std::string name;                                         // of the program
  std::vector<std::pair<std::string, std::string>> labels;  // by name
  uint64_t from_ns = 0;                                     // since 1970
  uint64_t until_ns = 0;
  std::vector<std::string> types;  // of samples, beyond Go's
  std::string pprof;               // gzipped
  std::string id;                  // a UUID
};

// Whether the server adds up what was allocated: it wants that since the last profile.
constexpr bool adds_up(Interface interface) {
  return interface == Interface::kPyroscope || interface == Interface::kPyroscopePush;
}

// The profile as it is pushed. With `before`, allocations are those since then.
PushedProfile profile_to_push(Profile profile, Names& names, Kind kind, const Profile* before);

// "KEY=VALUE". Throws host::Error (kExitUsage).
std::pair<std::string, std::string> parse_label(const std::string& text);

host::HttpRequest push_request(const PushTarget& target, const PushedProfile& profile,
                               const Credentials& credentials);

// Empty: the server has it. Else what it says, in one line; `may_pass`: it is worth another try.
std::string refusal_of(const PushTarget& target, const host::HttpResponse& response,
                       bool& may_pass);

}  // namespace tide::profile
