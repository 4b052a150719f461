#include "sys/pressure.h"

#include <string_view>

#include "base/text.h"
#include "sys/line_reader.h"

namespace tide::sys {

namespace {

// "some avg10=12.34 avg60=..." gives 1234. False: no such file, or not in this form.
bool read_hundredths(GroupRoom& room, base::TextWriter& file, uint32_t& hundredths) {
  constexpr std::string_view kLine = "some avg10=";
  file.put('\0');
  if (file.truncated()) return false;
  LineReader reader(file.view().data(), room.lines);
  std::string_view line;
  if (!reader.next(line) || line.size() < kLine.size() ||
      std::string_view(line.data(), kLine.size()) != kLine) {
    return false;
  }
  line.remove_prefix(kLine.size());
  uint32_t value = 0;
  int decimals = -1;  // none before the point
  for (const char c : line) {
    if (c == '.' && decimals < 0) {
      decimals = 0;
    } else if (c >= '0' && c <= '9' && decimals < 2 && value < 100'000) {
      value = value * 10 + static_cast<uint32_t>(c - '0');
      if (decimals >= 0) ++decimals;
    } else {
      break;
    }
  }
  for (decimals = decimals < 0 ? 0 : decimals; decimals < 2; ++decimals) value *= 10;
  hundredths = value;
  return true;
}

}  // namespace

MemoryPressure memory_pressure(GroupRoom& room, const char* root) {
  constexpr uint32_t kSome = 100;
  constexpr uint32_t kHigh = 1000;
  uint32_t hundredths = 0;
  base::TextWriter group(room.folder, sizeof room.folder);
  size_t top = 0;
  const bool has_group = cgroup_folder(room, root, CgroupVersion::kTwo, group, top);
  group.text("/memory.pressure");
  if (!has_group || !read_hundredths(room, group, hundredths)) {
    base::TextWriter system(room.file, sizeof room.file);
    system.text(root).text("/proc/pressure/memory");
    if (!read_hundredths(room, system, hundredths)) return MemoryPressure::kNone;
  }
  return hundredths >= kHigh   ? MemoryPressure::kHigh
         : hundredths >= kSome ? MemoryPressure::kSome
                               : MemoryPressure::kNone;
}

}  // namespace tide::sys
