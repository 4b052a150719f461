#include "host/control_groups.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tide::host {
namespace {

constexpr size_t kNumberDigits = 64;
constexpr size_t kShownDigits = 12;

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(at), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool take_end(std::string_view& text, std::string_view end) {
  if (!text.ends_with(end)) return false;
  text.remove_suffix(end.size());
  return true;
}

bool take_start(std::string_view& text, std::string_view start) {
  if (!text.starts_with(start)) return false;
  text.remove_prefix(start.size());
  return true;
}

// systemd writes a '-' within a name as "\x2d".
std::string unescaped(std::string_view name) {
  constexpr std::string_view kDash = "\\x2d";
  std::string text(name);
  for (size_t at = 0; (at = text.find(kDash, at)) != std::string::npos; ++at) {
    text.replace(at, kDash.size(), "-");
  }
  return text;
}

// The container that a group of that name under `parent` is of: "docker-NUMBER.scope", "NUMBER",
// "...:cri-containerd:NUMBER", "lxc.payload.NAME", "machine-NAME.scope" and the like.
std::string container_of(std::string_view group, std::string_view parent) {
  if (take_start(group, "lxc.payload.") || parent == "lxc") return std::string(group);
  const bool is_scope = take_end(group, ".scope");
  if (!is_scope) take_end(group, ".service");
  if (is_scope && take_start(group, "machine-")) return unescaped(group);
  if (take_start(group, "systemd-nspawn@")) return unescaped(group);
  // What watches over a container of podman's is not in it.
  if (group.find("-conmon-") != std::string_view::npos) return {};
  const std::string_view number = group.substr(group.find_last_of("-:") + 1);
  const bool is_number = number.size() == kNumberDigits &&
                         number.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return is_number ? std::string(number.substr(0, kShownDigits)) : std::string();
}

// A user's own manager is no service, nor what it starts.
std::string unit_among(const std::vector<std::string_view>& groups, size_t first) {
  for (size_t i = first; i < groups.size(); ++i) {
    std::string_view unit = groups[i];
    if (take_end(unit, ".service")) {
      return unit.starts_with("user@") ? std::string() : std::string(unit);
    }
  }
  return {};
}

}  // namespace

GroupPlace group_place(std::string_view text) {
  GroupPlace place;
  std::string_view of_memory;
  for (const std::string_view line : split(text, '\n')) {
    // "4:memory:/PATH", of the unified hierarchy "0::/PATH".
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view path = line.substr(second + 1);
    const std::vector<std::string_view> controllers =
        split(line.substr(first + 1, second - first - 1), ',');
    if (controllers.empty() && path != "/") place.path = path;
    if (std::find(controllers.begin(), controllers.end(), "memory") != controllers.end()) {
      of_memory = path;
    }
    const std::vector<std::string_view> groups = split(path, '/');
    size_t inside = 0;
    std::string container;
    for (size_t i = groups.size(); i-- != 0 && container.empty();) {
      container = container_of(groups[i], i == 0 ? std::string_view() : groups[i - 1]);
      if (!container.empty()) inside = i + 1;
    }
    const std::string unit = unit_among(groups, inside);
    if (place.container.empty() && !container.empty()) {
      place.container = container;
      place.unit = unit;  // another hierarchy may have had that of the engine
    } else if (place.unit.empty() && container == place.container) {
      place.unit = unit;
    }
  }
  if (place.path.empty()) place.path = of_memory;
  return place;
}

}  // namespace tide::host
