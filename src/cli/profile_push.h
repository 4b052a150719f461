// `tide profile --push`: profiles to a server, once or again and again.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/profile_watch.h"
#include "profile/push.h"

namespace tide::cli {

struct PushWishes {
  std::string target;
  std::string name;  // empty: the program's
  std::vector<std::string> labels;
  std::string token_file;
};

class ProfilePusher {
 public:
  // Throws host::Error (kExitUsage) for what is wished for wrongly.
  ProfilePusher(const PushWishes& wishes, profile::Kind kind, int pid);

  // One that the server did not get is in the next one. Throws host::Error with what it said.
  void push(const profile::Profile& profile);
  // Every so many seconds, at most for `seconds` (0: no end), until the process ends or Ctrl-C.
  // What fails is told, and done again with the next one; only the last has to succeed.
  void push_all(ProfileWatch& watch, double every, double seconds);

  const std::string& url() const { return target_.url; }
  size_t pushed() const { return pushed_; }

 private:
  profile::Names& names(const profile::Profile& profile);
  void send(const host::HttpRequest& request);
  bool try_push(const profile::Profile& profile, std::string& fault);

  profile::PushTarget target_;
  profile::Credentials credentials_;
  profile::Kind kind_;
  std::string name_;
  std::vector<std::pair<std::string, std::string>> labels_;
  host::HttpClient client_;
  std::optional<profile::Profile> sent_;  // the last one that arrived
  std::unique_ptr<profile::Names> names_;
  std::string mapped_;  // that they are for
  size_t pushed_ = 0;
};

}  // namespace tide::cli
