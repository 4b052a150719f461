// Live bytes over time, one layer for each of the call stacks that have most.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/flame_tree.h"
#include "report/parts.h"
#include "report/stack_course.h"

namespace tide::report {

// A layer: all stacks through a node of the tree, or those that end in it.
struct StackLayer {
  uint32_t node = FlameTree::kRoot;
  bool is_whole = false;      // with what the function calls
  std::string name;           // short, no two alike
  std::vector<double> bytes;  // at each picture
};

// At most `most` layers, heaviest first; what they leave out is the difference to the totals. The
// pictures' stacks are nodes of the tree. A function is divided by what it calls as long as that
// leaves little out.
std::vector<StackLayer> stack_layers(const std::vector<StackPicture>& pictures,
                                     const FlameTree& tree, size_t most);

// The plot, and the table of its layers with their call stacks. Empty: nothing was live.
std::vector<Json> stacked_items(const std::string& id, const std::string& how, const Axis& x,
                                const std::vector<StackPicture>& pictures, const FlameTree& tree);

}  // namespace tide::report
