#include "report/profile_course.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/byte_text.h"
#include "report/downsample.h"
#include "report/profile_section.h"
#include "report/stacked_plot.h"

namespace tide::report {
namespace {

// When it was read: it says when sampling began, and for how long it had gone on.
uint64_t taken_ns(const NamedProfile& one) {
  return one.profile->time_ns + one.profile->duration_ns;
}

constexpr size_t kNone = SIZE_MAX;

size_t view_named(const FlameTree& tree, const std::string& name) {
  for (size_t view = 0; view < tree.views().size(); ++view) {
    if (tree.views()[view].name == name) return view;
  }
  return kNone;
}

}  // namespace

Section profile_course(std::vector<NamedProfile> profiles) {
  Section section;
  std::stable_sort(profiles.begin(), profiles.end(),
                   [](const auto& a, const auto& b) { return taken_ns(a) < taken_ns(b); });
  const FlameTree& last = profiles.back().profile->tree;
  const FlameView& shown = last.views()[shown_view(*profiles.back().profile)];
  if (shown.unit != "bytes" || profiles.front().profile->time_ns == 0 ||
      taken_ns(profiles.front()) == taken_ns(profiles.back())) {
    return section;
  }
  FlameTree tree({shown});
  std::vector<StackPicture> pictures;
  for (const NamedProfile& one : profiles) {
    const size_t view = view_named(one.profile->tree, shown.name);
    if (view == kNone) return section;
    StackPicture picture = {taken_ns(one) - taken_ns(profiles.front()), 0, {}};
    for (const auto& [node, bytes] : tree.merge(one.profile->tree, view, 0)) {
      if (bytes < 1) continue;
      picture.stacks.emplace_back(node, static_cast<uint64_t>(bytes));
      picture.total += static_cast<uint64_t>(bytes);
    }
    if (pictures.empty() || pictures.back().time_ns < picture.time_ns) {
      pictures.push_back(std::move(picture));
    } else if (picture.total > pictures.back().total) {
      pictures.back() = std::move(picture);
    }
  }
  while (pictures.size() > kMostPoints) thin_pictures(pictures);
  section.id = "course";
  section.kind = "Profiles";
  section.title = fmt::format("{} profiles over time", profiles.size());
  section.lead = fmt::format("{} to {}", profiles.front().name, profiles.back().name);
  section.items = stacked_items(
      section.id,
      fmt::format("The {} of each profile, by call stack, layer upon layer: the upper edge "
                  "is the whole. A layer that only grows is a leak, or a cache without a bound. "
                  "Click a name to switch it off.",
                  shown.name),
      {"time since the first profile", "ns"}, pictures, tree);
  if (section.items.empty()) return {};
  section.fact("profiles", profiles.size(), "count");
  section.fact("duration", pictures.back().time_ns, "ns");
  section.fact("first", pictures.front().total, "bytes");
  section.fact("last", pictures.back().total, "bytes");
  // Which stack grew most.
  const auto layers = stack_layers(pictures, tree, 9);
  const auto most =
      std::max_element(layers.begin(), layers.end(), [](const auto& a, const auto& b) {
        return a.bytes.back() - a.bytes.front() < b.bytes.back() - b.bytes.front();
      });
  std::string said = fmt::format(
      "From {} to {}, {} went from {} to {}", profiles.front().name, profiles.back().name,
      shown.name, host::byte_text(pictures.front().total), host::byte_text(pictures.back().total));
  const double grown = most->bytes.back() - most->bytes.front();
  if (grown > 0) {
    said += fmt::format("; {} grew most, by {}", most->name,
                        host::byte_text(static_cast<uint64_t>(grown)));
  }
  section.answer.push_back(said + ".");
  return section;
}

}  // namespace tide::report
