#include "trace/slice.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "host/error.h"

namespace tide::trace {
namespace {

constexpr std::pair<std::string_view, double> kUnits[] = {
    {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"", 1e9}};

uint64_t parse_time(std::string_view text, std::string_view whole) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && value >= 0) {
    const std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
    for (const auto& [unit, ns] : kUnits) {
      if (rest == unit && value * ns < 1e19) return static_cast<uint64_t>(value * ns);
    }
  }
  throw host::Error(fmt::format("'{}' is no time range such as 5s..10s or 250ms..", whole),
                    host::kExitUsage);
}

}  // namespace

TimeRange parse_time_range(std::string_view text) {
  const size_t dots = text.find("..");
  TimeRange range;
  if (dots == std::string_view::npos) parse_time("", text);
  const std::string_view from = text.substr(0, dots);
  const std::string_view to = text.substr(dots + 2);
  if (!from.empty()) range.begin_ns = parse_time(from, text);
  if (!to.empty()) range.end_ns = parse_time(to, text);
  if (range.begin_ns >= range.end_ns) {
    throw host::Error(fmt::format("the time range '{}' is empty", text), host::kExitUsage);
  }
  return range;
}

Slice::Slice(std::unique_ptr<EventSource> inner, TimeRange range)
    : inner_(std::move(inner)), range_(range) {}

const Event* Slice::next() {
  if (!has_begun_) {
    has_begun_ = true;
    while ((first_ = inner_->next()) != nullptr && first_->time_ns < range_.begin_ns) {
      // What moves is in nobody's table.
      if (first_->call == Call::kReallocDone) {
        moving_.erase(first_->thread);
      } else if ((first_->call == Call::kRealloc || first_->call == Call::kReallocarray) &&
                 first_->gone.is_known) {
        const GoneBlock& gone = first_->gone;
        moving_[first_->thread] = {
            {first_->pointer, gone.time_ns, gone.size, gone.usable, gone.thread, gone.stack},
            gone.slot};
      }
    }
    if (first_ != nullptr && range_.begin_ns > 0) begin(*first_);
  }
  if (!introduced_.empty()) return introduce();
  const Event* const event = first_ != nullptr ? first_ : inner_->next();
  first_ = nullptr;
  return event != nullptr && event->time_ns < range_.end_ns ? event : nullptr;
}

// `first` has been applied to the table of live blocks already.
void Slice::begin(const Event& first) {
  const uint64_t came_with = trace::came(first) ? first.pointer : 0;
  inner_->live().for_each([&](const Block& block, uint32_t slot) {
    if (block.address != came_with) introduced_.push_back({block, slot});
  });
  for (const auto& [thread, moving] : moving_) introduced_.push_back(moving);
  if (first.gone.is_known && first.call != Call::kReallocDone &&
      (format::releases(first.call) || first.call == Call::kNone || first.call == Call::kRealloc ||
       first.call == Call::kReallocarray)) {
    const GoneBlock& gone = first.gone;
    introduced_.push_back(
        {{first.pointer, gone.time_ns, gone.size, gone.usable, gone.thread, gone.stack},
         gone.slot});
  }
  // The last is taken first: in the order of their coming.
  std::sort(introduced_.begin(), introduced_.end(), [](const Introduced& a, const Introduced& b) {
    return a.block.time_ns > b.block.time_ns;
  });
}

const Event* Slice::introduce() {
  const Introduced& from = introduced_.back();
  event_.call = Call::kNote;
  event_.extras[0] = static_cast<uint64_t>(format::Note::kLive);
  event_.time_ns = range_.begin_ns;
  event_.thread = from.block.thread;
  event_.stack = from.block.stack;
  event_.pointer = from.block.address;
  event_.size = from.block.size;
  event_.usable = from.block.usable;
  event_.slot = from.slot;
  introduced_.pop_back();
  return &event_;
}

}  // namespace tide::trace
