#include "report/stacked_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace tide::report {
namespace {

constexpr size_t kMostLayers = 9;
constexpr size_t kMostLetters = 36;
constexpr double kSmallPart = 0.03;     // of all: not worth a layer
constexpr double kWorthKeeping = 0.75;  // of a function, by the parts that get a layer

// A node with all under it, or by itself.
struct Part {
  uint32_t node;
  bool is_whole;
  bool operator==(const Part&) const = default;
};

// How much each node has, on average over the pictures and at the highest one alike: so what is
// there for long and what makes the peak both count.
class Weights {
 public:
  Weights(const std::vector<StackPicture>& pictures, const FlameTree& tree)
      : own_(tree.size()), all_(tree.size()), children_(tree.size()) {
    double sum = 0;
    const StackPicture* highest = nullptr;
    for (const StackPicture& picture : pictures) {
      sum += static_cast<double>(picture.total);
      if (highest == nullptr || picture.total > highest->total) highest = &picture;
    }
    if (sum <= 0) return;
    for (const StackPicture& picture : pictures) add(picture, 0.5 / sum);
    add(*highest, 0.5 / static_cast<double>(highest->total));
    all_ = own_;
    for (auto node = static_cast<uint32_t>(tree.size()); node-- > 1;) {
      all_[tree.parent(node)] += all_[node];
      if (all_[node] > 0) children_[tree.parent(node)].push_back(node);
    }
  }

  double of(const Part& part) const { return part.is_whole ? all_[part.node] : own_[part.node]; }
  // What a part is made of; itself when it cannot be divided.
  std::vector<Part> parts(const Part& part) const {
    if (!part.is_whole) return {part};
    std::vector<Part> made;
    if (own_[part.node] > 0) made.push_back({part.node, false});
    for (const uint32_t child : children_[part.node]) made.push_back({child, true});
    return made;
  }

 private:
  void add(const StackPicture& picture, double factor) {
    for (const auto& [node, bytes] : picture.stacks) {
      own_[node] += factor * static_cast<double>(bytes);
    }
  }

  std::vector<double> own_;
  std::vector<double> all_;
  std::vector<std::vector<uint32_t>> children_;
};

std::vector<Part> divided(const Weights& weights, size_t most) {
  struct Layer {
    Part part;
    bool is_final = false;
  };
  std::vector<Layer> layers = {{{FlameTree::kRoot, true}, false}};
  if (!(weights.of(layers[0].part) > 0)) return {};
  for (;;) {
    Layer* next = nullptr;
    for (Layer& layer : layers) {
      const bool is_open = !layer.is_final;
      if (is_open && (next == nullptr || weights.of(layer.part) > weights.of(next->part))) {
        next = &layer;
      }
    }
    if (next == nullptr) break;
    std::vector<Part> parts = weights.parts(next->part);
    const double whole = weights.of(next->part);
    std::stable_sort(parts.begin(), parts.end(),
                     [&](const Part& a, const Part& b) { return weights.of(a) > weights.of(b); });
    const size_t room = most - (layers.size() - 1);
    double kept = 0;
    size_t count = 0;
    while (count < parts.size() && count < room &&
           (count == 0 || weights.of(parts[count]) >= kSmallPart)) {
      kept += weights.of(parts[count++]);
    }
    const bool is_itself = parts.size() == 1 && parts[0] == next->part;
    if (is_itself || (kept < kWorthKeeping * whole && next->part.node != FlameTree::kRoot)) {
      next->is_final = true;
      continue;
    }
    layers.erase(layers.begin() + (next - layers.data()));
    for (size_t i = 0; i < count; ++i) layers.push_back({parts[i], !parts[i].is_whole});
  }
  std::vector<Part> made;
  for (const Layer& layer : layers) made.push_back(layer.part);
  std::stable_sort(made.begin(), made.end(),
                   [&](const Part& a, const Part& b) { return weights.of(a) > weights.of(b); });
  return made;
}

// "std::vector<int, std::allocator<int> >::push_back(int const&)" as "std::vector<…>::push_back".
std::string plain_name(const std::string& text) {
  constexpr std::string_view kOperator = "operator";
  const size_t named = text.find(kOperator);
  if (named != std::string::npos) return text.substr(0, kMostLetters);
  std::string plain;
  int depth = 0;
  for (const char c : text) {
    if (c == '(' && depth == 0 && !plain.empty()) break;
    if (c == '<' && depth++ == 0) plain += "<…>";
    if (depth == 0) plain += c;
    if (c == '>' && depth > 0) --depth;
  }
  return plain.size() <= kMostLetters ? plain : plain.substr(0, kMostLetters - 1) + "…";
}

// What every program has in its call stacks, whoever wrote it.
bool is_of_the_library(const std::string& function) {
  for (const std::string_view start :
       {"std::", "__gnu_cxx::", "operator new", "void std::", "_Z"}) {
    if (function.starts_with(start)) return true;
  }
  return false;
}

// The innermost function that is the program's own, and its caller; with that of the library that
// it called where this is not enough.
std::string short_name(const FlameTree& tree, const Part& part, std::set<std::string>& used) {
  uint32_t node = part.node;
  while (node != FlameTree::kRoot && is_of_the_library(tree.text(node))) node = tree.parent(node);
  if (node == FlameTree::kRoot) node = part.node;
  std::string name = plain_name(tree.text(node));
  const uint32_t caller = tree.parent(node);
  const bool is_main = name == "main";
  if (!is_main && node != FlameTree::kRoot && caller != FlameTree::kRoot) {
    name += " ← " + plain_name(tree.text(caller));
  }
  if (node != part.node && (is_main || used.contains(name))) {
    name = plain_name(tree.text(part.node)) + " ← " + name;
  }
  if (part.is_whole) name = "under " + name;
  std::string different = name;
  for (int i = 2; used.contains(different); ++i) different = fmt::format("{} ({})", name, i);
  used.insert(different);
  return different;
}

std::string call_stack(const FlameTree& tree, const StackLayer& layer) {
  std::string text = layer.is_whole ? "all under " : "";
  for (uint32_t node = layer.node; node != FlameTree::kRoot; node = tree.parent(node)) {
    text += (node == layer.node ? "" : " ← ") + tree.text(node);
  }
  return text;
}

}  // namespace

std::vector<StackLayer> stack_layers(const std::vector<StackPicture>& pictures,
                                     const FlameTree& tree, size_t most) {
  std::vector<StackLayer> layers;
  std::set<std::string> used;
  for (const Part& part : divided(Weights(pictures, tree), most)) {
    layers.push_back({part.node, part.is_whole, short_name(tree, part, used),
                      std::vector<double>(pictures.size())});
  }
  // Which layer a stack is in: that of the nearest node on its way out that has one.
  constexpr size_t kNone = SIZE_MAX;
  std::vector<size_t> whole(tree.size(), kNone);
  std::map<uint32_t, size_t> own;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].is_whole) {
      whole[layers[i].node] = i;
    } else {
      own[layers[i].node] = i;
    }
  }
  for (uint32_t node = 1; node < tree.size(); ++node) {
    if (whole[node] == kNone) whole[node] = whole[tree.parent(node)];
  }
  for (size_t at = 0; at < pictures.size(); ++at) {
    for (const auto& [node, bytes] : pictures[at].stacks) {
      const auto exact = own.find(node);
      const size_t layer = exact != own.end() ? exact->second : whole[node];
      if (layer != kNone) layers[layer].bytes[at] += static_cast<double>(bytes);
    }
  }
  return layers;
}

std::vector<Json> stacked_items(const std::string& id, const std::string& how, const Axis& x,
                                const std::vector<StackPicture>& pictures, const FlameTree& tree) {
  const std::vector<StackLayer> layers = stack_layers(pictures, tree, kMostLayers);
  if (layers.empty() || pictures.size() < 2) return {};
  std::vector<Curve> curves;
  std::vector<double> rest;
  size_t highest = 0;
  for (size_t at = 0; at < pictures.size(); ++at) {
    double left = static_cast<double>(pictures[at].total);
    for (const StackLayer& layer : layers) left -= layer.bytes[at];
    rest.push_back(std::max(left, 0.0));
    if (pictures[at].total > pictures[highest].total) highest = at;
  }
  const auto add = [&](const std::string& name, const Json& color,
                       const std::vector<double>& bytes) {
    Curve curve = {name, color, {}};
    for (size_t at = 0; at < pictures.size(); ++at) {
      curve.points.emplace_back(static_cast<double>(pictures[at].time_ns), bytes[at]);
    }
    curves.push_back(std::move(curve));
  };
  Json rows = Json::array();
  const auto add_row = [&](const std::vector<double>& bytes, const std::string& stack) {
    rows.push_back({static_cast<int64_t>(bytes[highest]),
                    static_cast<int64_t>(*std::max_element(bytes.begin(), bytes.end())),
                    static_cast<int64_t>(bytes.front()), static_cast<int64_t>(bytes.back()),
                    stack});
  };
  for (size_t i = 0; i < layers.size(); ++i) {
    add(layers[i].name, i, layers[i].bytes);
    add_row(layers[i].bytes, call_stack(tree, layers[i]));
  }
  if (std::any_of(rest.begin(), rest.end(), [](double bytes) { return bytes > 0; })) {
    add("all others", "same", rest);
    add_row(rest, "all others");
  }
  Json plot = lines({id + "-by-stack", "Live bytes by call stack over time", how}, x,
                    {"live bytes", "bytes"}, curves, true);
  plot["stacked"] = true;
  Json stacks = table({id + "-layers", "Call stacks of that plot",
                       "Innermost function first. At the highest point of the whole, at the "
                       "highest of its own, at the beginning and at the end."},
                      {{"at the peak", "bytes"},
                       {"highest", "bytes"},
                       {"first", "bytes"},
                       {"last", "bytes"},
                       {"call stack", "text", "", true}},
                      rows);
  return {std::move(plot), std::move(stacks)};
}

}  // namespace tide::report
