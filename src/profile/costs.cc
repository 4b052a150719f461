#include "profile/costs.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>

namespace tide::profile {
namespace {

using layout::SampledStack;
using layout::SampledSum;

constexpr std::pair<std::string_view, Kind> kKinds[] = {
    {"inuse", Kind::kInUse},        {"allocated", Kind::kAllocated},
    {"peak", Kind::kPeak},          {"lifetime", Kind::kLifetime},
    {"growth", Kind::kGrowth},      {"fragmentation", Kind::kFragmentation},
    {"residency", Kind::kResidency}};

double deviation(double variance) { return variance > 0 ? std::sqrt(variance) : 0; }

Cost cost_of_sum(const SampledSum& sum, uint64_t samples) {
  Cost cost;
  cost.count = sum.count;
  cost.bytes = sum.bytes;
  cost.count_error = deviation(sum.count_variance);
  cost.bytes_error = deviation(sum.bytes_variance);
  cost.samples = samples;
  return cost;
}

Cost cost_of(const SampledStack& stack, Kind kind) {
  switch (kind) {
    case Kind::kAllocated:
      return cost_of_sum(stack.allocated, stack.samples);
    case Kind::kPeak:
      return cost_of_sum(stack.peak, stack.samples);
    case Kind::kLifetime: {
      Cost cost = cost_of_sum(stack.freed, stack.samples - stack.live_samples);
      if (cost.count > 0) cost.mean_lifetime_ns = stack.lifetime_ns / cost.count;
      return cost;
    }
    default:
      return cost_of_sum(stack.live, stack.live_samples);
  }
}

}  // namespace

std::string_view kind_name(Kind kind) {
  return std::find_if(std::begin(kKinds), std::end(kKinds),
                      [&](const auto& known) { return known.second == kind; })
      ->first;
}

std::optional<Kind> find_kind(std::string_view name) {
  for (const auto& [known, kind] : kKinds) {
    if (name == known) return kind;
  }
  return std::nullopt;
}

std::string kind_list() {
  std::string list;
  for (const auto& [name, kind] : kKinds) {
    if (!list.empty()) list += &name == &std::rbegin(kKinds)->first ? " or " : ", ";
    list += name;
  }
  return list;
}

Costs::Costs(const Profile& profile, Kind kind) : stacks_(profile.stacks.size()) {
  if (is_of_pages(kind)) {
    add_pages(profile, kind);
  } else {
    add_sums(profile, kind);
  }
  double lifetime = 0;
  for (const Cost& cost : stacks_) {
    total_.count += cost.count;
    total_.bytes += cost.bytes;
    total_.count_error += cost.count_error * cost.count_error;
    total_.bytes_error += cost.bytes_error * cost.bytes_error;
    total_.samples += cost.samples;
    total_.swapped += cost.swapped;
    total_.absent += cost.absent;
    lifetime += cost.mean_lifetime_ns * cost.count;
  }
  total_.count_error = std::sqrt(total_.count_error);
  total_.bytes_error = std::sqrt(total_.bytes_error);
  if (total_.count > 0) total_.mean_lifetime_ns = lifetime / total_.count;
}

void Costs::add_sums(const Profile& profile, Kind kind) {
  for (size_t i = 0; i < stacks_.size(); ++i) stacks_[i] = cost_of(profile.stacks[i], kind);
}

// As for other sums: a sample stands for so many blocks like it.
void Costs::add_pages(const Profile& profile, Kind kind) {
  for (size_t i = 0; i < profile.pages.size() && i < profile.blocks.size(); ++i) {
    const layout::SampledBlock& block = profile.blocks[i];
    const layout::SampledPages& pages = profile.pages[i];
    const bool is_pin = kind == Kind::kFragmentation;
    const double bytes = is_pin ? pages.pinned : static_cast<double>(pages.resident);
    if (is_pin && bytes <= 0) continue;
    Cost& cost = stacks_[block.stack];
    const double variance = block.weight * (block.weight - 1);
    ++cost.samples;
    cost.count += block.weight;
    cost.bytes += block.weight * bytes;
    cost.count_error += variance;
    cost.bytes_error += variance * bytes * bytes;
    if (is_pin) continue;
    const uint64_t touched = std::min(block.bytes, pages.resident + pages.swapped);
    cost.swapped += block.weight * static_cast<double>(pages.swapped);
    cost.absent += block.weight * static_cast<double>(block.bytes - touched);
  }
  for (Cost& cost : stacks_) {
    cost.count_error = deviation(cost.count_error);
    cost.bytes_error = deviation(cost.bytes_error);
  }
}

std::vector<size_t> Costs::order() const {
  std::vector<size_t> order(stacks_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return stacks_[a].bytes > stacks_[b].bytes; });
  return order;
}

namespace {

// What `sum` has beyond `old`, which is part of it. What is in both cancels out; what came and what
// went is uncertain.
void take_away(SampledSum& sum, const SampledSum& old) {
  sum.count -= old.count;
  sum.bytes -= old.bytes;
  sum.count_variance = std::abs(sum.count_variance - old.count_variance);
  sum.bytes_variance = std::abs(sum.bytes_variance - old.bytes_variance);
}

// change(stack, old) for stacks that are in both. One keeps its number as long as nobody resets the
// profile.
template <class Change>
Profile changed(const Profile& before, Profile after, Change change) {
  const size_t known = std::min(before.stacks.size(), after.stacks.size());
  for (size_t i = 0; i < known; ++i) {
    if (after.stacks[i].hash == before.stacks[i].hash) change(after.stacks[i], before.stacks[i]);
  }
  return after;
}

}  // namespace

Profile growth(const Profile& before, Profile after) {
  return changed(before, std::move(after), [](SampledStack& stack, const SampledStack& old) {
    take_away(stack.live, old.live);
    stack.live_samples -= std::min(stack.live_samples, old.live_samples);
  });
}

Profile allocated_since(const Profile& before, Profile after) {
  return changed(before, std::move(after), [](SampledStack& stack, const SampledStack& old) {
    take_away(stack.allocated, old.allocated);
    stack.samples -= std::min(stack.samples, old.samples);
  });
}

}  // namespace tide::profile
