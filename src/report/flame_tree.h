// Call stacks with values, as a tree by the names of functions: what flame graphs show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "report/parts.h"

namespace tide::report {

struct FlameView {
  std::string name;
  std::string unit;
};

class FlameTree {
 public:
  static constexpr uint32_t kRoot = 0;

  explicit FlameTree(std::vector<FlameView> views);

  uint32_t name(std::string_view text);
  // The node of a function called from `parent`; made when there is none.
  uint32_t child(uint32_t parent, uint32_t name);
  // Of the node itself, without those under it.
  void add(uint32_t node, size_t view, double value) { value_of(node, view) += value; }
  // After the last add(): values of nodes are with all under them from now on.
  void sum_up();

  size_t size() const { return nodes_.size(); }
  const std::vector<FlameView>& views() const { return views_; }
  double value(uint32_t node, size_t view) const { return values_[node * views_.size() + view]; }
  uint32_t parent(uint32_t node) const { return nodes_[node].parent; }
  const std::string& text(uint32_t node) const { return names_[nodes_[node].name]; }

  // Takes in what stacks of another tree that is summed up have by themselves in a view; says to
  // which nodes here it went.
  std::vector<std::pair<uint32_t, double>> merge(const FlameTree& other, size_t from_view,
                                                 size_t to_view);

  // The plot; nodes that would be thinner than a pixel in every view are left out.
  Json plot(const Caption& caption) const;

  // A tree with the views "before" and "after" of one view of two trees that are summed up.
  static FlameTree difference(const FlameTree& before, size_t before_view, const FlameTree& after,
                              size_t after_view);

 private:
  struct Node {
    uint32_t parent;
    uint32_t name;
  };
  double& value_of(uint32_t node, size_t view) { return values_[node * views_.size() + view]; }
  std::vector<bool> visible(size_t& count) const;

  std::vector<FlameView> views_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, uint32_t> name_numbers_;
  std::vector<Node> nodes_;  // parents before their children
  std::vector<double> values_;
  std::unordered_map<uint64_t, uint32_t> children_;  // by parent and name
};

}  // namespace tide::report
