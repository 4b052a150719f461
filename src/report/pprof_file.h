// Profiles in pprof's format (profile.proto, gzipped or not), as trees of call stacks.
#pragma once

#include <memory>
#include <string>

#include "report/flame_tree.h"

namespace tide::report {

struct Profile {
  FlameTree tree;        // a view for each kind of sample
  uint64_t time_ns = 0;  // when it was taken; 0: not known
  uint64_t duration_ns = 0;
  uint64_t samples = 0;
};

// Whether what a file begins with, once decompressed, can be a profile.
bool is_profile(const std::string& path);
// Throws host::Error, with what is wrong in it.
Profile read_profile(const std::string& path);

}  // namespace tide::report
