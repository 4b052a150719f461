#include "report/stack_course.h"

#include <algorithm>

namespace tide::report {
namespace {

StackPicture picture(uint64_t time_ns, uint64_t total,
                     const std::vector<trace::Histogram::Bin>& stacks) {
  StackPicture made = {time_ns, total, {}};
  for (uint32_t stack = 1; stack < stacks.size(); ++stack) {
    if (stacks[stack].sum != 0) made.stacks.emplace_back(stack, stacks[stack].sum);
  }
  if (made.stacks.size() > StackCourse::kMostStacks) {
    std::nth_element(made.stacks.begin(), made.stacks.begin() + StackCourse::kMostStacks,
                     made.stacks.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    made.stacks.resize(StackCourse::kMostStacks);
  }
  made.stacks.shrink_to_fit();
  return made;
}

}  // namespace

void thin_pictures(std::vector<StackPicture>& pictures) {
  size_t kept = std::min<size_t>(pictures.size(), 1);
  for (size_t i = 1; i < pictures.size(); i += 2) {
    const bool second = i + 1 < pictures.size() && pictures[i + 1].total > pictures[i].total;
    std::swap(pictures[kept++], pictures[second ? i + 1 : i]);
  }
  pictures.resize(kept);
}

void StackCourse::take(uint64_t time_ns, const trace::Peak& live) {
  const uint64_t begin_ns = pictures_.empty() ? time_ns : next_ns_;
  pictures_.push_back(picture(begin_ns, live.live_bytes(), live.live_stacks()));
  // Nothing has happened since: a pause is flat.
  const uint64_t last_ns = begin_ns + (time_ns - begin_ns) / step_ns_ * step_ns_;
  if (last_ns > begin_ns) {
    pictures_.push_back(pictures_.back());
    pictures_.back().time_ns = last_ns;
  }
  next_ns_ = last_ns + step_ns_;
  if (pictures_.size() > kMostPictures) {
    thin_pictures(pictures_);
    step_ns_ *= 2;
  }
}

void StackCourse::finish(uint64_t end_ns, const trace::Peak& live) {
  if (pictures_.empty()) return;
  const auto put = [&](StackPicture made) {
    const auto at = std::lower_bound(
        pictures_.begin(), pictures_.end(), made.time_ns,
        [](const StackPicture& one, uint64_t time_ns) { return one.time_ns < time_ns; });
    if (at != pictures_.end() && at->time_ns == made.time_ns) {
      *at = std::move(made);
    } else {
      pictures_.insert(at, std::move(made));
    }
  };
  put(picture(live.time_ns(), live.bytes(), live.peak_stacks()));
  if (end_ns > live.time_ns()) put(picture(end_ns, live.live_bytes(), live.live_stacks()));
}

}  // namespace tide::report
