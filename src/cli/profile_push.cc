#include "cli/profile_push.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "cli/fleet_rows.h"
#include "cli/screen.h"
#include "host/error.h"
#include "host/proc.h"
#include "host/secret.h"

namespace tide::cli {
namespace {

using profile::Kind;
using profile::Profile;

std::string environment(const char* variable) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

// A random one, version 4 of RFC 9562.
std::string new_uuid() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw host::Error("the system has no random numbers");
  }
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

// What may stand in a name of Pyroscope's.
std::string plain(std::string name) {
  std::replace_if(
      name.begin(), name.end(),
      [](unsigned char c) {
        return std::isalnum(c) == 0 &&
               std::string_view("._-/").find(static_cast<char>(c)) == std::string_view::npos;
      },
      '_');
  return name;
}

}  // namespace

ProfilePusher::ProfilePusher(const PushWishes& wishes, Kind kind, int pid)
    : target_(profile::parse_push_target(wishes.target)), kind_(kind) {
  if (kind == Kind::kGrowth || kind == Kind::kLifetime) {
    throw host::Error(fmt::format("--kind {}: cannot be pushed, servers have no such profiles",
                                  profile::kind_name(kind)),
                      host::kExitUsage);
  }
  credentials_ = {host::read_secret(wishes.token_file, "TIDE_PUSH_TOKEN"),
                  environment("TIDE_PUSH_USER"), environment("TIDE_PUSH_TENANT")};
  if (!credentials_.token.empty() && host::is_readable_on_the_way(target_.url)) {
    fmt::print(stderr, "tide profile: the token is sent to {} as it is; use https\n", target_.url);
  }
  const std::string command = pid != 0 ? host::Proc().command(pid) : "";
  name_ = !wishes.name.empty() ? wishes.name : command.empty() ? "tide" : plain(command);
  if (plain(name_) != name_) {
    throw host::Error(
        fmt::format("--name: '{}' is not of letters, digits, '.', '_', '-' and '/'", name_),
        host::kExitUsage);
  }
  labels_ = {{"hostname", plain(host_name())}};
  if (pid != 0) labels_.emplace_back("pid", std::to_string(pid));
  for (const std::string& text : wishes.labels) {
    const auto label = profile::parse_label(text);
    std::erase_if(labels_, [&](const auto& known) { return known.first == label.first; });
    labels_.push_back(label);
  }
  std::sort(labels_.begin(), labels_.end());
}

// Names are looked for once, as long as the same files are mapped.
profile::Names& ProfilePusher::names(const Profile& profile) {
  std::string mapped;
  for (const host::Mapping& mapping : profile.maps) {
    if (mapping.is_file()) mapped += fmt::format("{:x}{}\n", mapping.start, mapping.name);
  }
  if (names_ == nullptr || mapped != mapped_) {
    names_ = std::make_unique<profile::Names>(profile);
    mapped_ = std::move(mapped);
  }
  return *names_;
}

void ProfilePusher::send(const host::HttpRequest& request) {
  constexpr int kTries = 3;
  double pause = 0.25;
  for (int i = 1;; ++i, pause *= 2) {
    bool may_pass = true;
    std::string fault;
    try {
      fault = profile::refusal_of(target_, client_.post(request), may_pass);
    } catch (const host::Error& error) {
      fault = error.what();
    }
    if (fault.empty()) return;
    if (i == kTries || !may_pass || wait_for_end(pause, false)) {
      throw host::Error(fmt::format("the profile could not be pushed: {}", fault));
    }
  }
}

void ProfilePusher::push(const Profile& profile) {
  const bool with_sums = sent_.has_value() && profile::adds_up(target_.interface);
  profile::PushedProfile pushed =
      profile::profile_to_push(profile, names(profile), kind_, with_sums ? &*sent_ : nullptr);
  pushed.name = name_;
  pushed.labels = labels_;
  pushed.id = new_uuid();
  send(profile::push_request(target_, pushed, credentials_));
  sent_ = profile;
  ++pushed_;
}

bool ProfilePusher::try_push(const Profile& profile, std::string& fault) {
  try {
    push(profile);
    fault.clear();
  } catch (const host::Error& error) {
    // Once for a row of them.
    if (fault.empty()) {
      fmt::print(stderr, "tide profile: {}; it will be in the next one\n", error.what());
    }
    fault = error.what();
  }
  return fault.empty();
}

void ProfilePusher::push_all(ProfileWatch& watch, double every, double seconds) {
  std::string fault;
  watch.repeat(every, seconds, [&] {
    // Of a process that has ended no pages are left.
    if (watch.has_ended() && profile::is_of_pages(kind_) && pushed_ != 0 && fault.empty()) return;
    try_push(watch.take(), fault);
  });
  if (!fault.empty()) throw host::Error(fault);
}

}  // namespace tide::cli
