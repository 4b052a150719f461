// Which classes the memory of a heap goes to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inspect/contents.h"
#include "inspect/survey.h"

namespace tide::inspect {

struct Type {
  std::string name;
  Kind kind;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  bool is_estimate = false;
};

// Classes of C++, and what has none by its kind; most bytes first. The survey must be one with
// every object.
std::vector<Type> types_of(const Survey& survey, const Contents& contents);

}  // namespace tide::inspect
