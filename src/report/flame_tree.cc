#include "report/flame_tree.h"

#include <algorithm>
#include <cmath>

namespace tide::report {
namespace {

constexpr double kThinnest = 0.0004;  // of the whole: half a pixel
constexpr size_t kMostNodes = 12'000;
constexpr size_t kLongestName = 300;

}  // namespace

FlameTree::FlameTree(std::vector<FlameView> views) : views_(std::move(views)) {
  nodes_.push_back({kRoot, name("all")});
  values_.resize(views_.size());
}

uint32_t FlameTree::name(std::string_view text) {
  std::string cut(text.substr(0, kLongestName));
  if (text.size() > kLongestName) cut += "...";
  const auto [at, is_new] =
      name_numbers_.try_emplace(std::move(cut), static_cast<uint32_t>(names_.size()));
  if (is_new) names_.push_back(at->first);
  return at->second;
}

uint32_t FlameTree::child(uint32_t parent, uint32_t name) {
  const uint64_t key = uint64_t{parent} << 32 | name;
  const auto [at, is_new] = children_.try_emplace(key, static_cast<uint32_t>(nodes_.size()));
  if (is_new) {
    nodes_.push_back({parent, name});
    values_.resize(values_.size() + views_.size());
  }
  return at->second;
}

void FlameTree::sum_up() {
  for (uint32_t node = static_cast<uint32_t>(nodes_.size()); node-- > 1;) {
    for (size_t view = 0; view < views_.size(); ++view) {
      value_of(nodes_[node].parent, view) += value(node, view);
    }
  }
}

// Those that can be seen in some view; a node's parent is at least as wide as it.
std::vector<bool> FlameTree::visible(size_t& count) const {
  std::vector<bool> is_visible;
  double thinnest = kThinnest;
  do {
    count = 0;
    is_visible.assign(nodes_.size(), false);
    for (uint32_t node = 0; node < nodes_.size(); ++node) {
      for (size_t view = 0; view < views_.size() && !is_visible[node]; ++view) {
        is_visible[node] = node == kRoot || (value(node, view) > 0 &&
                                             value(node, view) >= thinnest * value(kRoot, view));
      }
      if (is_visible[node]) ++count;
    }
    thinnest *= 2;
  } while (count > kMostNodes);
  return is_visible;
}

Json FlameTree::plot(const Caption& caption) const {
  size_t count = 0;
  const std::vector<bool> is_visible = visible(count);
  // Siblings by their names, so that two graphs can be compared.
  std::vector<uint32_t> order;
  order.reserve(count);
  for (uint32_t node = 0; node < nodes_.size(); ++node) {
    if (is_visible[node]) order.push_back(node);
  }
  std::vector<uint32_t> depth(nodes_.size());
  for (uint32_t node = 1; node < nodes_.size(); ++node)
    depth[node] = depth[nodes_[node].parent] + 1;
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return depth[a] != depth[b] ? depth[a] < depth[b] : text(a) < text(b);
  });
  std::vector<uint32_t> place(nodes_.size());
  std::unordered_map<uint32_t, uint32_t> shown_names;
  Json names = Json::array();
  Json nodes = Json::array();
  for (uint32_t i = 0; i < order.size(); ++i) {
    const uint32_t node = order[i];
    place[node] = i;
    const auto [at, is_new] =
        shown_names.try_emplace(nodes_[node].name, static_cast<uint32_t>(names.size()));
    if (is_new) names.push_back(text(node));
    Json row = {node == kRoot ? Json(-1) : Json(place[nodes_[node].parent]), at->second};
    for (size_t view = 0; view < views_.size(); ++view) {
      row.push_back(static_cast<int64_t>(std::llround(value(node, view))));
    }
    nodes.push_back(std::move(row));
  }
  Json json = {{"type", "flame"}, {"id", caption.id}, {"title", caption.title}};
  json["how"] = caption.how;
  json["views"] = Json::array();
  for (const FlameView& view : views_) {
    json["views"].push_back({{"name", view.name}, {"unit", view.unit}});
  }
  json["names"] = std::move(names);
  json["nodes"] = std::move(nodes);
  return json;
}

// Own values are what is left of a node when those under it are taken away.
std::vector<std::pair<uint32_t, double>> FlameTree::merge(const FlameTree& other, size_t from_view,
                                                          size_t to_view) {
  std::vector<double> own(other.size());
  for (uint32_t node = 0; node < other.size(); ++node) {
    own[node] += other.value(node, from_view);
    if (node != kRoot) own[other.parent(node)] -= other.value(node, from_view);
  }
  std::vector<uint32_t> here(other.size());
  for (uint32_t node = 1; node < other.size(); ++node) {
    if (other.value(node, from_view) == 0) continue;
    here[node] = child(here[other.parent(node)], name(other.text(node)));
  }
  std::vector<std::pair<uint32_t, double>> added;
  for (uint32_t node = 0; node < other.size(); ++node) {
    if (own[node] == 0 || (node != kRoot && here[node] == kRoot)) continue;
    add(here[node], to_view, own[node]);
    added.emplace_back(here[node], own[node]);
  }
  return added;
}

FlameTree FlameTree::difference(const FlameTree& before, size_t before_view, const FlameTree& after,
                                size_t after_view) {
  FlameTree tree(
      {{"Before", before.views()[before_view].unit}, {"After", after.views()[after_view].unit}});
  tree.merge(before, before_view, 0);
  tree.merge(after, after_view, 1);
  tree.sum_up();
  return tree;
}

}  // namespace tide::report
