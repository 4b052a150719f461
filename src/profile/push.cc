#include "profile/push.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "host/base64.h"
#include "host/error.h"
#include "host/pprof_writer.h"
#include "profile/export.h"

namespace tide::profile {
namespace {

using Json = nlohmann::ordered_json;
using host::HttpRequest;
using host::Message;

constexpr uint64_t kSecond = 1'000'000'000;
// What servers call a profile of memory.
constexpr const char* kMemory = "memory";

[[noreturn]] void fail_usage(const std::string& message) {
  throw host::Error(fmt::format("{}; see: tide profile --help", message), host::kExitUsage);
}

std::string percent_encoded(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string_view::npos) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", byte);
    }
  }
  return result;
}

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// How a server of Pyroscope is to show and add up each type. Without it, it knows Go's four only.
std::string type_config(const std::vector<std::string>& more) {
  Json config;
  const auto add = [&](const std::string& type, bool is_sum) {
    config[type] = {{"units", type.ends_with("_objects") ? "objects" : "bytes"},
                    {"aggregation", is_sum ? "sum" : "average"},
                    {"display-name", type},
                    {"sampled", true}};
  };
  add("alloc_objects", true);
  add("alloc_space", true);
  add("inuse_objects", false);
  add("inuse_space", false);
  for (const std::string& type : more) add(type, false);
  return dumped(config);
}

// Not in any of the parts: it is drawn for each profile.
std::string boundary_of(const PushedProfile& profile) { return "tide-" + profile.id; }

std::string form_part(const std::string& boundary, const char* name, const char* file,
                      const char* type, const std::string& bytes) {
  return fmt::format(
             "--{}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\n"
             "Content-Type: {}\r\n\r\n",
             boundary, name, file, type) +
         bytes + "\r\n";
}

HttpRequest ingest_request(const PushedProfile& profile) {
  std::string name = profile.name + "{";
  for (const auto& [key, value] : profile.labels) {
    if (name.back() != '{') name += ',';
    name += key + "=" + value;
  }
  name += "}";
  const uint64_t from = profile.from_ns / kSecond;
  HttpRequest request;
  request.url =
      fmt::format("/ingest?name={}&from={}&until={}&format=pprof&spyName=tide",
                  percent_encoded(name), from, std::max(profile.until_ns / kSecond, from + 1));
  const std::string boundary = boundary_of(profile);
  request.headers = {{"Content-Type", "multipart/form-data; boundary=" + boundary}};
  request.body =
      form_part(boundary, "profile", "profile.pprof", "application/octet-stream", profile.pprof);
  if (!profile.types.empty()) {
    request.body += form_part(boundary, "sample_type_config", "sample_type_config.json",
                              "application/json", type_config(profile.types));
  }
  request.body += "--" + boundary + "--\r\n";
  return request;
}

// Names and values of all labels, sorted by name as servers keep them.
std::vector<std::pair<std::string, std::string>> labels_with_names(const PushedProfile& profile,
                                                                   const char* program) {
  auto labels = profile.labels;
  labels.emplace_back("__name__", kMemory);
  labels.emplace_back(program, profile.name);
  std::sort(labels.begin(), labels.end());
  return labels;
}

Json label_list(const PushedProfile& profile, const char* program) {
  Json list = Json::array();
  for (const auto& [name, value] : labels_with_names(profile, program)) {
    list.push_back({{"name", name}, {"value", value}});
  }
  return list;
}

HttpRequest connect_request(const PushedProfile& profile) {
  const Json sample = {{"rawProfile", host::base64(profile.pprof)}, {"ID", profile.id}};
  const Json series = {{"labels", label_list(profile, "service_name")},
                       {"samples", Json::array({sample})}};
  const Json body = {{"series", Json::array({series})}};
  return {"/push.v1.PusherService/Push",
          {{"Content-Type", "application/json"}, {"Connect-Protocol-Version", "1"}},
          dumped(body)};
}

HttpRequest gateway_request(const PushedProfile& profile) {
  Json labels;
  labels["labels"] = label_list(profile, "job");
  Json sample;
  sample["rawProfile"] = host::base64(profile.pprof);
  const Json series = {{"labels", labels}, {"samples", Json::array({sample})}};
  const Json body = {{"series", Json::array({series})}, {"normalized", false}};
  return {"/profiles/writeraw", {{"Content-Type", "application/json"}}, dumped(body)};
}

// A message of gRPC: a byte that it is not compressed, its length, itself.
HttpRequest grpc_web_request(const PushedProfile& profile) {
  Message labels;
  for (const auto& [name, value] : labels_with_names(profile, "job")) {
    labels.message(1 /*labels*/, Message().bytes(1 /*name*/, name).bytes(2 /*value*/, value));
  }
  const Message series =
      Message()
          .message(1 /*labels*/, labels)
          .message(2 /*samples*/, Message().bytes(1 /*raw_profile*/, profile.pprof));
  const std::string message = Message().message(2 /*series*/, series).bytes();
  std::string body(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    body += static_cast<char>(message.size() >> shift & 0xff);
  }
  return {"/parca.profilestore.v1alpha1.ProfileStoreService/WriteRaw",
          {{"Content-Type", "application/grpc-web+proto"}, {"X-Grpc-Web", "1"}},
          body + message};
}

std::string one_line(std::string text) {
  constexpr size_t kMost = 200;
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
  text.resize(std::min(text.size(), kMost));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// "name: value" in the lines of the last frame of a gRPC-Web answer, which has the bit 0x80.
std::string trailer(std::string_view body, std::string_view name) {
  constexpr size_t kHead = 5;
  while (body.size() >= kHead) {
    size_t length = 0;
    for (size_t i = 1; i < kHead; ++i) length = length << 8 | static_cast<unsigned char>(body[i]);
    const bool is_trailers = (static_cast<unsigned char>(body[0]) & 0x80) != 0;
    const std::string frame(body.substr(kHead, length));
    body.remove_prefix(std::min(body.size(), kHead + length));
    const size_t at = frame.find(std::string(name) + ":");
    if (!is_trailers || at == std::string::npos) continue;
    const size_t value = frame.find_first_not_of(' ', at + name.size() + 1);
    return value == std::string::npos ? "" : frame.substr(value, frame.find('\r', value) - value);
  }
  return "";
}

std::string grpc_field(const host::HttpResponse& response, const std::string& name) {
  const auto header = response.headers.find(name);
  return header != response.headers.end() ? header->second : trailer(response.body, name);
}

}  // namespace

PushTarget parse_push_target(const std::string& text) {
  constexpr std::pair<std::string_view, Interface> kPrefixes[] = {
      {"pyroscope+", Interface::kPyroscope},
      {"pyroscope-push+", Interface::kPyroscopePush},
      {"parca+", Interface::kParca},
      {"parca-json+", Interface::kParcaJson}};
  PushTarget target;
  target.url = text;
  for (const auto& [prefix, interface] : kPrefixes) {
    if (!text.starts_with(prefix)) continue;
    target = {interface, text.substr(prefix.size())};
  }
  const bool is_plain = target.url.starts_with("http://");
  const size_t host = is_plain ? 7 : 8;
  if ((!is_plain && !target.url.starts_with("https://")) || target.url.size() <= host ||
      target.url[host] == '/' || target.url[host] == ':') {
    fail_usage(fmt::format(
        "--push: '{}' is no address such as http://HOST:4040 or parca+http://HOST:7070", text));
  }
  if (target.url.find('@') != std::string::npos) {
    fail_usage(
        "--push: no credentials in the address, which everybody can see; use TIDE_PUSH_TOKEN or "
        "--token-file");
  }
  if (target.url.find_first_of("?# \t\r\n") != std::string::npos) {
    fail_usage(fmt::format("--push: '{}' has more than a path behind the host", text));
  }
  while (target.url.back() == '/') target.url.pop_back();
  return target;
}

std::pair<std::string, std::string> parse_label(const std::string& text) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const auto is_part = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  if (equals == std::string::npos || name.empty() || std::isdigit(name[0]) != 0 ||
      !std::all_of(name.begin(), name.end(), is_part) || name.starts_with("__")) {
    fail_usage(fmt::format("--label: '{}' is not KEY=VALUE, KEY of letters, digits and _", text));
  }
  const std::string value = text.substr(equals + 1);
  if (value.find_first_of(",{}=\"\r\n") != std::string::npos) {
    fail_usage(fmt::format("--label: '{}' has a comma, brace, quote or = in its value", text));
  }
  return {name, value};
}

PushedProfile profile_to_push(Profile profile, Names& names, Kind kind, const Profile* before) {
  PushedProfile pushed;
  const uint64_t age = profile.now_ns - profile.table.start_ns;
  pushed.from_ns = before == nullptr ? profile.real_now_ns - age : before->real_now_ns;
  pushed.until_ns = profile.real_now_ns;
  if (before != nullptr) profile = allocated_since(*before, std::move(profile));
  // A state, not what happened in a time.
  profile.table.start_ns = profile.now_ns;
  pushed.types = page_types(kind);
  pushed.pprof = pprof_of(profile, names, kind);
  return pushed;
}

HttpRequest push_request(const PushTarget& target, const PushedProfile& profile,
                         const Credentials& credentials) {
  HttpRequest request;
  switch (target.interface) {
    case Interface::kPyroscope:
      request = ingest_request(profile);
      break;
    case Interface::kPyroscopePush:
      request = connect_request(profile);
      break;
    case Interface::kParca:
      request = grpc_web_request(profile);
      break;
    case Interface::kParcaJson:
      request = gateway_request(profile);
      break;
  }
  request.url = target.url + request.url;
  if (!credentials.token.empty()) {
    request.headers.emplace_back(
        "Authorization", credentials.user.empty()
                             ? "Bearer " + credentials.token
                             : "Basic " + host::base64(credentials.user + ":" + credentials.token));
  }
  if (!credentials.tenant.empty())
    request.headers.emplace_back("X-Scope-OrgID", credentials.tenant);
  return request;
}

std::string refusal_of(const PushTarget& target, const host::HttpResponse& response,
                       bool& may_pass) {
  may_pass = response.status >= 500 || response.status == 429;
  if (response.status < 200 || response.status >= 300) {
    const std::string said = one_line(response.body);
    return fmt::format("{} answers with status {}{}{}", target.url, response.status,
                       said.empty() ? "" : ": ", said);
  }
  if (target.interface != Interface::kParca) return "";
  const std::string status = grpc_field(response, "grpc-status");
  if (status == "0") return "";
  if (status.empty()) return fmt::format("{} does not answer as a server of gRPC-Web", target.url);
  constexpr std::string_view kUnavailable = "14";
  may_pass = status == kUnavailable;
  return fmt::format("{} answers with gRPC's status {}: {}", target.url, status,
                     one_line(grpc_field(response, "grpc-message")));
}

}  // namespace tide::profile
