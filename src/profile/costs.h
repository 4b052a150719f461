// What call stacks cost, of each kind that may be asked for, with how far off it may be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "profile/profile.h"

namespace tide::profile {

// What of a profile is asked for.
enum class Kind {
  kInUse,
  kAllocated,
  kPeak,
  kLifetime,       // of what was freed
  kGrowth,         // see growth()
  kFragmentation,  // bytes beyond the live ones on pages that live blocks keep
  kResidency,      // which part of what is live is in memory
};
std::string_view kind_name(Kind kind);
std::optional<Kind> find_kind(std::string_view name);
// "inuse, allocated, ... or residency".
std::string kind_list();

// Whether it takes Profile::pages.
constexpr bool is_of_pages(Kind kind) {
  return kind == Kind::kFragmentation || kind == Kind::kResidency;
}

struct Cost {
  double count = 0;
  double bytes = 0;        // kFragmentation: pinned; kResidency: resident
  double count_error = 0;  // one standard deviation
  double bytes_error = 0;
  uint64_t samples = 0;
  double mean_lifetime_ns = 0;  // kLifetime
  double swapped = 0;           // kResidency: bytes
  double absent = 0;            // kResidency: bytes that were given back or never touched
};

// The costs of all stacks of a profile, which needs pages where is_of_pages(kind).
class Costs {
 public:
  Costs(const Profile& profile, Kind kind);

  const Cost& operator[](size_t stack) const { return stacks_[stack]; }
  const Cost& total() const { return total_; }
  // Numbers of stacks, most bytes first.
  std::vector<size_t> order() const;

 private:
  void add_sums(const Profile& profile, Kind kind);
  void add_pages(const Profile& profile, Kind kind);

  std::vector<Cost> stacks_;
  Cost total_;
};

// With what was allocated after `before` was read, of the same process.
Profile allocated_since(const Profile& before, Profile after);

// What became live after `before` was read, of the same process: its live sums less those of
// `before`, which may be negative.
Profile growth(const Profile& before, Profile after);

}  // namespace tide::profile
