#include "report/profile_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "host/byte_text.h"
#include "host/number_text.h"

namespace tide::report {
namespace {

constexpr size_t kMostSites = 100;

// The view that says most: bytes before counts, what is in use before what was allocated.
size_t main_view(const FlameTree& tree) {
  size_t best = 0;
  int score = -1;
  for (size_t view = 0; view < tree.views().size(); ++view) {
    if (!(tree.value(FlameTree::kRoot, view) > 0)) continue;
    const FlameView& one = tree.views()[view];
    const bool is_live = one.name.find("inuse") != std::string::npos ||
                         one.name.find("peak") != std::string::npos ||
                         one.name.find("live") != std::string::npos;
    const int here = (one.unit == "bytes" ? 2 : 0) + (is_live ? 1 : 0);
    if (here > score) best = view;
    score = std::max(score, here);
  }
  return best;
}

std::vector<double> own_values(const FlameTree& tree, size_t view) {
  std::vector<double> own(tree.size());
  for (uint32_t node = 0; node < tree.size(); ++node) {
    own[node] += tree.value(node, view);
    if (node != FlameTree::kRoot) own[tree.parent(node)] -= tree.value(node, view);
  }
  return own;
}

}  // namespace

size_t shown_view(const Profile& profile) {
  const FlameTree& tree = profile.tree;
  const bool is_told =
      profile.shown < tree.views().size() && tree.value(FlameTree::kRoot, profile.shown) > 0;
  return is_told ? profile.shown : main_view(tree);
}

Json function_table(const Caption& caption, const FlameTree& tree, size_t shown) {
  const size_t views = tree.views().size();
  std::map<std::string, std::vector<double>> functions;
  for (size_t view = 0; view < views; ++view) {
    const std::vector<double> own = own_values(tree, view);
    for (uint32_t node = 1; node < tree.size(); ++node) {
      if (own[node] == 0) continue;
      std::vector<double>& values = functions[tree.text(node)];
      values.resize(views);
      values[view] += own[node];
    }
  }
  const size_t by = shown < views ? shown : main_view(tree);
  std::vector<const std::pair<const std::string, std::vector<double>>*> order;
  for (const auto& function : functions) order.push_back(&function);
  std::stable_sort(order.begin(), order.end(),
                   [&](const auto* a, const auto* b) { return a->second[by] > b->second[by]; });
  order.resize(std::min(order.size(), kMostSites));
  std::vector<Column> columns = {{"function", "text", "", true}};
  for (const FlameView& view : tree.views()) columns.push_back({view.name, view.unit});
  Json rows = Json::array();
  for (const auto* const function : order) {
    Json row = {function->first};
    for (const double value : function->second) row.push_back(static_cast<int64_t>(value));
    rows.push_back(std::move(row));
  }
  return table(caption, columns, rows);
}

Section profile_section(const std::string& id, const std::string& name, const Profile& profile) {
  const FlameTree& tree = profile.tree;
  Section section;
  section.id = id;
  section.kind = "Profile";
  section.title = name;
  section.fact("call stacks", profile.samples, "count");
  if (profile.duration_ns != 0) section.fact("duration", profile.duration_ns, "ns");
  for (size_t view = 0; view < tree.views().size(); ++view) {
    section.fact(tree.views()[view].name, tree.value(FlameTree::kRoot, view),
                 tree.views()[view].unit);
  }
  const size_t view = shown_view(profile);
  uint32_t most = FlameTree::kRoot;
  const std::vector<double> own = own_values(tree, view);
  for (uint32_t node = 1; node < tree.size(); ++node) {
    if (most == FlameTree::kRoot || own[node] > own[most]) most = node;
  }
  const double all = tree.value(FlameTree::kRoot, view);
  if (most != FlameTree::kRoot && all > 0) {
    const FlameView& what = tree.views()[view];
    section.answer.push_back(fmt::format(
        "{}: {} {} in all, {:.0f} % of it in one place, {} called by {}.", name,
        what.unit == "bytes" ? host::byte_text(static_cast<uint64_t>(all))
                             : host::grouped(static_cast<uint64_t>(all)),
        what.name, 100 * own[most] / all, tree.text(most),
        tree.parent(most) == FlameTree::kRoot ? "nobody" : tree.text(tree.parent(most))));
  }
  Json flame = tree.plot({id + "-flame", "Call stacks",
                          "Callers on top, what they call below; the wider, the more. Click a bar "
                          "to zoom into it, again to go back up; type to search."});
  flame["first"] = view;
  section.items.push_back(std::move(flame));
  section.items.push_back(function_table(
      {id + "-functions", "Functions", "What each has by itself, without what it calls."}, tree,
      view));
  return section;
}

}  // namespace tide::report
