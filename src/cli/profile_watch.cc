#include "cli/profile_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cli/screen.h"
#include "host/error.h"

namespace tide::cli {

using profile::Kind;
using profile::Profile;

ProfileWatch::ProfileWatch(const LiveProfile& live, Kind kind, bool may_stop,
                           LiveProfile::Calls calls)
    : live_(live),
      kind_(kind),
      may_stop_(may_stop),
      calls_(calls),
      before_(live.read()),
      last_(before_) {
  catch_interrupts();
}

void ProfileWatch::look() {
  try {
    if (calls_ == LiveProfile::Calls::kEvery) live_.count_on();
    last_ = live_.read();
  } catch (const host::Error&) {
    if (live_.is_there()) throw;
    has_ended_ = true;
  }
}

bool ProfileWatch::wait(double seconds) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  constexpr double kLook = 0.5;
  const auto begin = Clock::now();
  for (;;) {
    const double left = seconds - Seconds(Clock::now() - begin).count();
    if (left <= 0) return true;
    if (wait_for_end(std::min(left, kLook), false)) return false;
    look();
    if (has_ended_) return false;
  }
}

void ProfileWatch::repeat(double every, double seconds, const std::function<void()>& take_one) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  for (bool goes_on = true; goes_on;) {
    double pause = every;
    if (seconds > 0) {
      const double left = seconds - std::chrono::duration<double>(Clock::now() - begin).count();
      goes_on = left > every;
      pause = std::clamp(left, 0.0, every);
    }
    goes_on = wait(pause) && goes_on;
    take_one();
    goes_on = goes_on && !has_ended_;
  }
}

Profile ProfileWatch::take() {
  if (!has_ended_) look();
  if (has_ended_) {
    const std::string ended = fmt::format("process {} has ended", live_.pid());
    if (profile::is_of_pages(kind_)) {
      throw host::Error(fmt::format("{} before its pages were looked at", ended));
    }
    fmt::print(stderr, "tide profile: {}; this is its profile when it was last seen\n", ended);
  }
  if (profile::is_of_pages(kind_)) return live_.read_with_pages(kind_, may_stop_);
  if (kind_ != Kind::kGrowth) return last_;
  Profile grown = profile::growth(before_, last_);
  before_ = last_;
  return grown;
}

}  // namespace tide::cli
