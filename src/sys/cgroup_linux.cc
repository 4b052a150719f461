#include "sys/cgroup.h"

#include <string_view>

#include "base/starts_with.h"
#include "sys/line_reader.h"

namespace tide::sys {

namespace {

using base::TextWriter;

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

// As the kernel wants it.
const char* terminated(TextWriter& path) {
  path.put('\0');
  return path.truncated() ? "" : path.view().data();
}

// The group's path inside its hierarchy, from /proc/self/cgroup: "7:cpu,memory:/a/b" or "0::/a/b".
bool find_group(GroupRoom& room, const char* root, CgroupVersion version, TextWriter& group) {
  TextWriter file(room.file, sizeof room.file);
  file.text(root).text("/proc/self/cgroup");
  LineReader reader(terminated(file), room.lines);
  std::string_view line;
  while (reader.next(line)) {
    const std::string_view number = take_until(line, ':');
    const std::string_view controllers = take_until(line, ':');
    const bool found = version == CgroupVersion::kTwo ? number == "0" && controllers.empty()
                                                      : has_word(controllers, "memory");
    if (!found) continue;
    group.text(line);
    return !group.truncated();
  }
  return false;
}

// The number in `name` inside of the folder. No such file, "max" and what stands for it in version
// 1 (the largest number of pages) are no limit. Clears `seen` when there is a file, but it can't be
// read.
uint64_t read_limit(GroupRoom& room, std::string_view folder, std::string_view name, bool& seen) {
  constexpr uint64_t kLeastUnlimited = uint64_t{1} << 62;
  TextWriter file(room.file, sizeof room.file);
  file.text(folder).put('/').text(name);
  LineReader reader(terminated(file), room.lines);
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

bool can_be_read(GroupRoom& room, const char* root, std::string_view name) {
  TextWriter file(room.file, sizeof room.file);
  file.text(root).text(name);
  return LineReader(terminated(file), room.lines).is_open();
}

void lower(uint64_t& limit, uint64_t other) {
  if (other < limit) limit = other;
}

}  // namespace

// From /proc/self/mountinfo: "30 23 0:26 ROOT MOUNTPOINT options [tags] - TYPE source
// superoptions".
bool cgroup_folder(GroupRoom& room, const char* root, CgroupVersion version, TextWriter& folder,
                   size_t& top) {
  TextWriter group(room.group, sizeof room.group);
  if (!find_group(room, root, version, group)) return false;
  TextWriter file(room.file, sizeof room.file);
  file.text(root).text("/proc/self/mountinfo");
  LineReader reader(terminated(file), room.lines);
  std::string_view line;
  while (reader.next(line)) {
    for (int skipped = 0; skipped < 3; ++skipped) take_until(line, ' ');
    const std::string_view mounted = take_until(line, ' ');
    const std::string_view point = take_until(line, ' ');
    while (!line.empty() && take_until(line, ' ') != "-") {
    }
    const std::string_view type = take_until(line, ' ');
    take_until(line, ' ');
    const bool found = version == CgroupVersion::kTwo
                           ? type == "cgroup2"
                           : type == "cgroup" && has_word(line, "memory");
    if (!found) continue;
    folder.text(root);
    append_unescaped(point, folder);
    top = folder.length();
    // What is mounted may be a group itself, and ours be somewhere else altogether: then the
    // mounted one is all that can be seen.
    std::string_view inside = group.view();
    if (mounted != "/") {
      inside.remove_prefix(base::starts_with(inside, mounted) ? mounted.size() : inside.size());
    }
    if (inside != "/" && inside.find("/..") == std::string_view::npos) folder.text(inside);
    return !folder.truncated();
  }
  return false;
}

CgroupLimits cgroup_limits(GroupRoom& room, const char* root) {
  CgroupLimits limits;
  limits.seen = can_be_read(room, root, "/proc/self/cgroup") &&
                can_be_read(room, root, "/proc/self/mountinfo");
  for (const CgroupVersion version : {CgroupVersion::kTwo, CgroupVersion::kOne}) {
    TextWriter folder(room.folder, sizeof room.folder);
    size_t top = 0;
    if (!cgroup_folder(room, root, version, folder, top)) continue;
    for (std::string_view path = folder.view();;) {
      if (version == CgroupVersion::kTwo) {
        lower(limits.high, read_limit(room, path, "memory.high", limits.seen));
        lower(limits.max, read_limit(room, path, "memory.max", limits.seen));
      } else {
        lower(limits.max, read_limit(room, path, "memory.limit_in_bytes", limits.seen));
      }
      const size_t slash = path.rfind('/');
      if (path.size() <= top || slash == std::string_view::npos || slash < top) break;
      path = {path.data(), slash};
    }
  }
  return limits;
}

}  // namespace tide::sys
