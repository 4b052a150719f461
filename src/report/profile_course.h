// Several profiles of one program, as one course over time.
#pragma once

#include <string>
#include <vector>

#include "report/parts.h"
#include "report/pprof_file.h"

namespace tide::report {

struct NamedProfile {
  std::string name;
  const Profile* profile;
};

// One that says of two or more profiles what was live in them, by call stack, in the order in which
// they were taken. Empty title: they say not when they were taken, or of no figure that all have.
Section profile_course(std::vector<NamedProfile> profiles);

}  // namespace tide::report
