#include "profile/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>
#include <unordered_map>

#include "host/error.h"

namespace tide::profile {
namespace {

using layout::ProfileTable;
using layout::SampledBlock;
using layout::SampledStack;
using layout::SampledSum;

constexpr uint64_t kGone = 1;
// More than any process has: what is above it was read in the middle of a change, or is made up.
constexpr uint32_t kMostEntries = uint32_t{1} << 26;
constexpr int kTries = 100;
// By one block: as much as a slab has is more than enough.
constexpr double kMostPinned = double{1 << 30};

void require_known(const ProfileTable& table) {
  if (table.version == layout::kProfileVersion) return;
  throw host::Error(
      fmt::format("the profile is of version {}, this command reads version {}; use the tide that "
                  "came with the "
                  "process's libtide.so",
                  table.version, layout::kProfileVersion));
}

bool is_sane(const ProfileTable& table) {
  return table.stack_count < kMostEntries && table.frame_count < kMostEntries &&
         table.block_slots < kMostEntries;
}

// Sums and squares of such numbers are numbers.
bool is_plausible(double value) {
  constexpr double kMost = 1e60;
  return std::fabs(value) < kMost;  // false for what is none
}

bool is_plausible(const SampledSum& sum) {
  return is_plausible(sum.count) && is_plausible(sum.bytes) && is_plausible(sum.count_variance) &&
         is_plausible(sum.bytes_variance);
}

// What a file says that nobody has changed since.
bool is_plausible(const SampledStack& stack) {
  constexpr uint64_t kMostSamples = uint64_t{1} << 40;
  return stack.samples < kMostSamples && stack.live_samples <= stack.samples &&
         is_plausible(stack.allocated) && is_plausible(stack.live) && is_plausible(stack.peak) &&
         is_plausible(stack.freed) && is_plausible(stack.lifetime_ns);
}

// Drops what leads outside of the profile.
void clean_up(Profile& profile) {
  std::erase_if(profile.blocks, [&](const SampledBlock& block) {
    return block.address <= kGone || block.stack >= profile.stacks.size() ||
           !is_plausible(block.weight);
  });
  for (SampledStack& stack : profile.stacks) {
    const uint64_t end = uint64_t{stack.first_frame} + stack.frame_count;
    if (end > profile.frames.size()) stack.first_frame = stack.frame_count = 0;
  }
}

// By the address of the file's first byte: of lines "build-id ADDRESS ID" behind the mappings.
std::map<uint64_t, std::string> build_ids_of(std::string_view text) {
  std::map<uint64_t, std::string> ids;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(layout::kBuildIdLine)) continue;
    line.remove_prefix(layout::kBuildIdLine.size());
    if (line.starts_with("0x")) line.remove_prefix(2);
    uint64_t start = 0;
    const auto [rest, fault] = std::from_chars(line.data(), line.data() + line.size(), start, 16);
    if (fault != std::errc() || rest == line.data() + line.size()) continue;
    ids[start] = line.substr(static_cast<size_t>(rest - line.data()) + 1);
  }
  return ids;
}

// What is at a path now is what was mapped then if it has the same build id, which is seen when it
// is opened, or where it has none, if it is the same file.
std::vector<ObjectFile> files_of(const std::vector<host::Mapping>& maps,
                                 const std::map<uint64_t, std::string>& build_ids,
                                 const std::string& sysroot) {
  std::vector<ObjectFile> files;
  for (const host::Mapping& mapping : maps) {
    if (!mapping.is_file() || mapping.offset != 0) continue;
    const auto id = build_ids.find(mapping.start);
    ObjectFile file{mapping.start, sysroot + mapping.name, ""};
    if (id != build_ids.end()) {
      file.build_id = id->second;
    } else if (sysroot.empty() && !host::is_mapped_file(mapping, file.path)) {
      file.path.clear();
    }
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace

Profile read_profile(const ReadMemory& read, uint64_t address, bool stands_still) {
  Profile profile;
  for (int i = 0; i < kTries; ++i) {
    read(address, &profile.table, sizeof profile.table);
    const ProfileTable& table = profile.table;
    require_known(table);
    if ((table.changes % 2 != 0 && !stands_still) || !is_sane(table)) {
      // Who is at it may have to wait for a processor.
      if (i > kTries / 2) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    profile.stacks.resize(table.stack_count);
    profile.frames.resize(table.frame_count);
    profile.blocks.resize(table.block_slots);
    try {
      const auto read_all = [&](uint64_t from, auto& to) {
        if (!to.empty()) read(from, to.data(), to.size() * sizeof to[0]);
      };
      read_all(table.stacks, profile.stacks);
      read_all(table.frames, profile.frames);
      read_all(table.blocks, profile.blocks);
    } catch (const host::Error&) {
      if (i + 1 == kTries) throw;
      continue;  // they have moved
    }
    ProfileTable after{};
    read(address, &after, sizeof after);
    // Where samples come all the time the last try has to do; a sample more or less is in it.
    if (after.changes == table.changes || i + 1 == kTries) {
      clean_up(profile);
      return profile;
    }
  }
  throw host::Error("the profile changes all the time; try again");
}

// Over another malloc that is so anyway.
bool saw_every_call(const Profile& profile) {
  if (layout::sampling_mode(profile.table.is_on) == layout::kSamplesEveryCall) return true;
  for (const host::Mapping& mapping : profile.maps) {
    if (mapping.name.find("/libtide-trace.so") != std::string::npos) return true;
  }
  return false;
}

bool is_profile_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  uint64_t magic = 0;
  return file.read(reinterpret_cast<char*>(&magic), sizeof magic) &&
         magic == layout::kProfileFileMagic;
}

void set_pages(Profile& profile, const std::vector<layout::SampledPages>& pages) {
  std::unordered_map<uint64_t, const layout::SampledPages*> by_address;
  for (const layout::SampledPages& one : pages) by_address[one.address] = &one;
  std::erase_if(profile.blocks,
                [&](const SampledBlock& block) { return !by_address.contains(block.address); });
  profile.pages.clear();
  profile.has_pins = std::none_of(pages.begin(), pages.end(), [](const layout::SampledPages& one) {
    return one.pinned == layout::kPinnedUnknown;
  });
  for (const SampledBlock& block : profile.blocks) {
    layout::SampledPages one = *by_address.at(block.address);
    one.resident = std::min(one.resident, block.bytes);
    one.swapped = std::min(one.swapped, block.bytes - one.resident);
    if (!(one.pinned >= 0 && one.pinned < kMostPinned)) one.pinned = 0;
    profile.pages.push_back(one);
  }
  profile.has_pages = true;
}

Profile load_profile(const std::string& path, const std::string& sysroot) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw host::Error(fmt::format("can't open '{}': {}", path, std::strerror(errno)));
  if (std::filesystem::is_directory(path)) {
    throw host::Error(fmt::format("'{}' is a folder and no profile", path));
  }
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  size_t at = 0;
  const auto take = [&](void* to, size_t count) {
    if (bytes.size() - at < count) {
      throw host::Error(fmt::format("'{}' is cut off after {} bytes", path, bytes.size()));
    }
    memcpy(to, bytes.data() + at, count);
    at += count;
  };
  layout::ProfileFileHeader header{};
  if (bytes.size() < sizeof header.magic ||
      memcmp(bytes.data(), &layout::kProfileFileMagic, sizeof header.magic) != 0) {
    throw host::Error(fmt::format(
        "'{}' is no profile of Tide (the option profile_file and tide_profile_write make them)",
        path));
  }
  take(&header, sizeof header);
  if (header.version == 0 || header.version > layout::kProfileFileVersion) {
    throw host::Error(
        fmt::format("'{}' is a profile of version {}, this command reads up to {}; "
                    "use the tide that came with the program's libtide.so",
                    path, header.version, layout::kProfileFileVersion));
  }
  Profile profile;
  take(&profile.table, sizeof profile.table);
  require_known(profile.table);
  if (!is_sane(profile.table)) throw host::Error(fmt::format("'{}' is damaged", path));
  const auto take_all = [&](auto& to, uint32_t count) {
    if (count > bytes.size() / sizeof(typename std::decay_t<decltype(to)>::value_type))
      count = UINT32_MAX / 64;
    if (count > kMostEntries / 2)
      throw host::Error(fmt::format("'{}' is cut off after {} bytes", path, bytes.size()));
    to.resize(count);
    if (count != 0) take(to.data(), count * sizeof to[0]);
  };
  take_all(profile.stacks, profile.table.stack_count);
  if (!std::all_of(profile.stacks.begin(), profile.stacks.end(),
                   [](const SampledStack& stack) { return is_plausible(stack); })) {
    throw host::Error(fmt::format("'{}' is damaged", path));
  }
  take_all(profile.frames, profile.table.frame_count);
  take_all(profile.blocks, profile.table.block_slots);
  std::vector<layout::SampledPages> pages;
  for (layout::SampledPages one{}; header.version >= layout::kProfileFileVersion;) {
    take(&one, sizeof one);
    if (one.address == 0) break;
    pages.push_back(one);
  }
  const std::string_view maps = std::string_view(bytes).substr(at);
  profile.maps = host::parse_maps(maps);
  profile.files = files_of(profile.maps, build_ids_of(maps), sysroot);
  profile.now_ns = header.now_ns;
  profile.real_now_ns = header.real_now_ns;
  profile.pid = header.process;
  clean_up(profile);
  if (header.version >= layout::kProfileFileVersion) set_pages(profile, pages);
  return profile;
}

}  // namespace tide::profile
