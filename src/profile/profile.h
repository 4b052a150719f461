// A sampled profile: what a process on Tide kept of its allocations (layout/profile_table.h), read
// from the process or a file, with names for its call stacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "host/process_maps.h"
#include "host/symbol_cache.h"
#include "layout/profile_table.h"

namespace tide::profile {

struct Profile {
  layout::ProfileTable table;
  std::vector<layout::SampledStack> stacks;
  std::vector<uint64_t> frames;
  std::vector<layout::SampledBlock> blocks;  // live ones
  std::vector<host::Mapping> maps;
  uint64_t now_ns = 0;       // monotonic, when it was read
  uint64_t real_now_ns = 0;  // since 1970
  int pid = 0;
};

// Bytes at an address of the process. Throws host::Error when they are not there.
using ReadMemory = std::function<void(uint64_t address, void* to, size_t bytes)>;

// The tables at `address` (HeapRoot::profile), as they are at one moment. Throws host::Error.
Profile read_profile(const ReadMemory& read, uint64_t address);

// A file that the library wrote. Throws host::Error.
Profile load_profile(const std::string& path);
bool is_profile_file(const std::string& path);

// What of a profile is asked for.
enum class Kind { kInUse, kAllocated, kPeak, kLifetime, kGrowth };

// What a stack has of it. For kLifetime of blocks that were freed.
struct Cost {
  double count = 0;
  double bytes = 0;
  double count_error = 0;  // one standard deviation
  double bytes_error = 0;
  uint64_t samples = 0;
  double mean_lifetime_ns = 0;  // kLifetime
};
Cost cost_of(const layout::SampledStack& stack, Kind kind);
Cost total_cost(const Profile& profile, Kind kind);

// What became live after `before` was read, of the same process: its live sums less those of
// `before`, which may be negative.
Profile growth(const Profile& before, Profile after);

// Names of a profile's code.
class Names {
 public:
  explicit Names(const Profile& profile);

  // Of a return address: functions, inlined ones first; at least one, if need be "libx.so+0x12".
  const std::vector<host::SourcePlace>& places(uint64_t address);
  // The file that is mapped there, as it begins in memory; null: none.
  struct Module {
    uint64_t start;
    uint64_t end;
    std::string path;
    std::string build_id;
  };
  const std::vector<Module>& modules() const { return modules_; }
  const Module* module(uint64_t address) const;

 private:
  host::SymbolCache cache_;
  std::vector<Module> modules_;  // ascending
  std::map<uint64_t, std::vector<host::SourcePlace>> known_;
};

}  // namespace tide::profile
