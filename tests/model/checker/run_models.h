// What every program of models does: explores each model, then each with every mistake that can be
// made in it, and expects that to be found.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/model/checker/explore.h"

namespace checker {

struct Suite {
  std::vector<Program> programs;
  // Changes of the text, by name: at least one program must fail with each.
  std::vector<const char*> mutations;
  // Sites whose memory order no program needs, "file: order in function", and why that is so.
  std::vector<std::pair<const char*, const char*>> unneeded;
};

// Main of such a program; the exit status.
int run_suite(const Suite& suite, int argc, char** argv);

}  // namespace checker
