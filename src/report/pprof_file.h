// Profiles in pprof's format (profile.proto, gzipped or not), as trees of call stacks.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "report/flame_tree.h"

namespace tide::report {

struct Profile {
  FlameTree tree;           // a view for each kind of sample
  size_t shown = SIZE_MAX;  // the view that its maker wants to be seen first
  uint64_t time_ns = 0;     // when it was taken; 0: not known
  uint64_t duration_ns = 0;
  uint64_t samples = 0;
};

// Whether what a file begins with, once decompressed, can be a profile.
bool is_profile(const std::string& path);
// Throws host::Error, with what is wrong in it.
Profile read_profile(const std::string& path);
// The same of bytes that are decompressed; `name` is for messages.
Profile parse_profile(const std::string& name, std::string_view bytes);

}  // namespace tide::report
