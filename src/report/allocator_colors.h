// A colour for each allocator, the same in all plots of a page.
#pragma once

#include <map>
#include <string>

namespace tide::report {

class AllocatorColors {
 public:
  // A place in the palette. Well-known allocators have one of their own in every page.
  int of(const std::string& label, const std::string& allocator);

 private:
  std::map<std::string, int> colors_;  // by label
};

}  // namespace tide::report
