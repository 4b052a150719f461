#include "profile/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <unordered_map>

#include "host/error.h"

namespace tide::profile {
namespace {

using layout::ProfileTable;
using layout::SampledBlock;
using layout::SampledStack;

constexpr uint64_t kGone = 1;
// More than any process has: what is above it was read in the middle of a change, or is made up.
constexpr uint32_t kMostEntries = uint32_t{1} << 26;
constexpr int kTries = 100;

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

// Drops what leads outside of the profile.
void clean_up(Profile& profile) {
  std::erase_if(profile.blocks, [&](const SampledBlock& block) {
    return block.address <= kGone || block.stack >= profile.stacks.size();
  });
  for (SampledStack& stack : profile.stacks) {
    const uint64_t end = uint64_t{stack.first_frame} + stack.frame_count;
    if (end > profile.frames.size()) stack.first_frame = stack.frame_count = 0;
  }
}

double deviation(double variance) { return variance > 0 ? std::sqrt(variance) : 0; }

Cost cost_of_sum(const layout::SampledSum& sum, uint64_t samples) {
  return {sum.count, sum.bytes, deviation(sum.count_variance), deviation(sum.bytes_variance),
          samples,   0};
}

}  // namespace

Profile read_profile(const ReadMemory& read, uint64_t address) {
  Profile profile;
  for (int i = 0; i < kTries; ++i) {
    read(address, &profile.table, sizeof profile.table);
    const ProfileTable& table = profile.table;
    require_known(table);
    if (table.changes % 2 != 0 || !is_sane(table)) continue;
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

bool is_profile_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  uint64_t magic = 0;
  return file.read(reinterpret_cast<char*>(&magic), sizeof magic) &&
         magic == layout::kProfileFileMagic;
}

Profile load_profile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw host::Error(fmt::format("can't open '{}': {}", path, std::strerror(errno)));
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
  take_all(profile.frames, profile.table.frame_count);
  take_all(profile.blocks, profile.table.block_slots);
  profile.maps = host::parse_maps(std::string_view(bytes).substr(at));
  profile.now_ns = header.now_ns;
  profile.real_now_ns = header.real_now_ns;
  profile.pid = header.process;
  clean_up(profile);
  return profile;
}

Cost cost_of(const SampledStack& stack, Kind kind) {
  switch (kind) {
    case Kind::kAllocated:
      return cost_of_sum(stack.allocated, stack.samples);
    case Kind::kPeak:
      return cost_of_sum(stack.peak, stack.samples);
    case Kind::kLifetime: {
      Cost cost = cost_of_sum(stack.freed, stack.samples - stack.live_samples);
      if (cost.count > 0) cost.mean_lifetime_ns = stack.lifetime_ns / cost.count;
      return cost;
    }
    default:
      return cost_of_sum(stack.live, stack.live_samples);
  }
}

Cost total_cost(const Profile& profile, Kind kind) {
  Cost total;
  double lifetime = 0;
  for (const SampledStack& stack : profile.stacks) {
    const Cost cost = cost_of(stack, kind);
    total.count += cost.count;
    total.bytes += cost.bytes;
    total.count_error += cost.count_error * cost.count_error;
    total.bytes_error += cost.bytes_error * cost.bytes_error;
    total.samples += cost.samples;
    lifetime += cost.mean_lifetime_ns * cost.count;
  }
  total.count_error = std::sqrt(total.count_error);
  total.bytes_error = std::sqrt(total.bytes_error);
  if (total.count > 0) total.mean_lifetime_ns = lifetime / total.count;
  return total;
}

Profile growth(const Profile& before, Profile after) {
  // A stack keeps its number as long as nobody resets the profile.
  const size_t known = std::min(before.stacks.size(), after.stacks.size());
  for (size_t i = 0; i < known; ++i) {
    SampledStack& stack = after.stacks[i];
    const SampledStack& old = before.stacks[i];
    if (stack.hash != old.hash) continue;
    stack.live.count -= old.live.count;
    stack.live.bytes -= old.live.bytes;
    // What is in both cancels out; what came and what went is uncertain.
    stack.live.count_variance = std::abs(stack.live.count_variance - old.live.count_variance);
    stack.live.bytes_variance = std::abs(stack.live.bytes_variance - old.live.bytes_variance);
    stack.live_samples -= std::min(stack.live_samples, old.live_samples);
  }
  return after;
}

Names::Names(const Profile& profile) {
  for (const host::Mapping& mapping : profile.maps) {
    if (!mapping.is_file()) continue;
    if (!modules_.empty() && modules_.back().path == mapping.name && mapping.offset != 0) {
      modules_.back().end = mapping.end;
    } else if (mapping.offset == 0) {
      modules_.push_back({mapping.start, mapping.end, mapping.name, ""});
    }
  }
  for (Module& module : modules_) module.build_id = cache_.build_id(module.path);
}

const Names::Module* Names::module(uint64_t address) const {
  const auto after =
      std::upper_bound(modules_.begin(), modules_.end(), address,
                       [](uint64_t wanted, const Module& module) { return wanted < module.start; });
  if (after == modules_.begin()) return nullptr;
  const Module& found = *std::prev(after);
  return address < found.end ? &found : nullptr;
}

const std::vector<host::SourcePlace>& Names::places(uint64_t address) {
  const auto [at, is_new] = known_.try_emplace(address);
  if (!is_new) return at->second;
  // What a call returns to may be the next function already.
  const Module* const in = module(address - 1);
  if (in != nullptr) at->second = cache_.places(in->path, in->build_id, address - 1 - in->start);
  std::erase_if(at->second, [](const host::SourcePlace& place) { return place.function.empty(); });
  if (at->second.empty()) {
    const size_t slash = in == nullptr ? 0 : in->path.rfind('/') + 1;
    at->second.push_back(
        {in == nullptr ? fmt::format("{:#x}", address)
                       : fmt::format("{}+{:#x}", in->path.substr(slash), address - in->start),
         "", 0});
  }
  return at->second;
}

}  // namespace tide::profile
