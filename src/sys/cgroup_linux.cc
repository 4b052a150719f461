#include "sys/cgroup.h"

#include <string_view>

#include "sys/line_reader.h"

namespace tide::sys {

namespace {

// Longer paths than this are not followed.
constexpr size_t kPathBytes = 1024;
using Path = base::TextBuffer<kPathBytes>;

enum class Version : uint8_t { kOne, kTwo };

// Takes off `text` what stands before `separator`, and the separator.
std::string_view take_until(std::string_view& text, char separator) {
  const size_t at = text.find(separator);
  const std::string_view field(text.data(), at == std::string_view::npos ? text.size() : at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return field;
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    if (take_until(list, ',') == word) return true;
  }
  return false;
}

bool starts_with(std::string_view text, std::string_view beginning) {
  return text.size() >= beginning.size() &&
         std::string_view(text.data(), beginning.size()) == beginning;
}

// The kernel writes blanks in mount points as \040.
void append_unescaped(std::string_view text, base::TextWriter& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.put(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] -
                                '0'));
      i += 3;
    } else {
      out.put(text[i]);
    }
  }
}

// A path of text and name, as the kernel wants it.
const char* terminated(Path& path) {
  path.put('\0');
  return path.truncated() ? "" : path.view().data();
}

// The group's path inside its hierarchy, from /proc/self/cgroup: "7:cpu,memory:/a/b" or "0::/a/b".
bool find_group(const char* root, Version version, Path& group) {
  Path file;
  file.text(root).text("/proc/self/cgroup");
  LineReader reader(terminated(file));
  std::string_view line;
  while (reader.next(line)) {
    const std::string_view number = take_until(line, ':');
    const std::string_view controllers = take_until(line, ':');
    const bool found = version == Version::kTwo ? number == "0" && controllers.empty()
                                                : has_word(controllers, "memory");
    if (!found) continue;
    group.text(line);
    return !group.truncated();
  }
  return false;
}

// A folder of groups, of which the first `top` bytes are where the hierarchy is mounted.
struct Folder {
  Path path;
  size_t top = 0;
};

// From /proc/self/mountinfo: "30 23 0:26 ROOT MOUNTPOINT options [tags] - TYPE source
// superoptions".
bool find_folder(const char* root, Version version, Folder& folder) {
  Path group;
  if (!find_group(root, version, group)) return false;
  Path file;
  file.text(root).text("/proc/self/mountinfo");
  LineReader reader(terminated(file));
  std::string_view line;
  while (reader.next(line)) {
    for (int skipped = 0; skipped < 3; ++skipped) take_until(line, ' ');
    const std::string_view mounted = take_until(line, ' ');
    const std::string_view point = take_until(line, ' ');
    while (!line.empty() && take_until(line, ' ') != "-") {
    }
    const std::string_view type = take_until(line, ' ');
    take_until(line, ' ');
    const bool found =
        version == Version::kTwo ? type == "cgroup2" : type == "cgroup" && has_word(line, "memory");
    if (!found) continue;
    folder.path.text(root);
    append_unescaped(point, folder.path);
    folder.top = folder.path.length();
    // What is mounted may be a group itself, and ours be somewhere else altogether: then the
    // mounted one is all that can be seen.
    std::string_view inside = group.view();
    if (mounted != "/") {
      inside.remove_prefix(starts_with(inside, mounted) ? mounted.size() : inside.size());
    }
    if (inside != "/" && inside.find("/..") == std::string_view::npos) folder.path.text(inside);
    return !folder.path.truncated();
  }
  return false;
}

// The number in `name` inside of the folder. No such file, "max" and what stands for it in version
// 1 (the largest number of pages) are no limit. Clears `seen` when there is a file, but it can't be
// read.
uint64_t read_limit(std::string_view folder, std::string_view name, bool& seen) {
  constexpr uint64_t kLeastUnlimited = uint64_t{1} << 62;
  Path file;
  file.text(folder).put('/').text(name);
  LineReader reader(terminated(file));
  if (!reader.is_open() && !reader.is_missing()) seen = false;
  std::string_view line;
  if (!reader.next(line) || line.empty()) return kUnlimited;
  uint64_t value = 0;
  for (const char c : line) {
    if (c < '0' || c > '9' || value >= kLeastUnlimited) return kUnlimited;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value >= kLeastUnlimited ? kUnlimited : value;
}

bool can_be_read(const char* root, std::string_view name) {
  Path file;
  file.text(root).text(name);
  return LineReader(terminated(file)).is_open();
}

void lower(uint64_t& limit, uint64_t other) {
  if (other < limit) limit = other;
}

}  // namespace

bool cgroup_folder(const char* root, base::TextWriter& folder) {
  Folder found;
  if (!find_folder(root, Version::kTwo, found)) return false;
  folder.text(found.path.view());
  return !folder.truncated();
}

CgroupLimits cgroup_limits(const char* root) {
  CgroupLimits limits;
  limits.seen = can_be_read(root, "/proc/self/cgroup") && can_be_read(root, "/proc/self/mountinfo");
  for (const Version version : {Version::kTwo, Version::kOne}) {
    Folder folder;
    if (!find_folder(root, version, folder)) continue;
    for (std::string_view path = folder.path.view();;) {
      if (version == Version::kTwo) {
        lower(limits.high, read_limit(path, "memory.high", limits.seen));
        lower(limits.max, read_limit(path, "memory.max", limits.seen));
      } else {
        lower(limits.max, read_limit(path, "memory.limit_in_bytes", limits.seen));
      }
      const size_t slash = path.rfind('/');
      if (path.size() <= folder.top || slash == std::string_view::npos || slash < folder.top) break;
      path = {path.data(), slash};
    }
  }
  return limits;
}

}  // namespace tide::sys
