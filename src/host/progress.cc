#include "host/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "host/byte_text.h"

namespace tide::host {
namespace {

constexpr uint64_t kBeforeFirst = 1000;  // milliseconds
constexpr uint64_t kBetween = 100;
constexpr size_t kBarWidth = 24;

uint64_t milliseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

// A line that is not written whole is drawn again.
void write_to_stderr(std::string_view text) {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

Progress::Progress(const Terminal& terminal) : Progress(terminal, milliseconds, write_to_stderr) {}

Progress::Progress(const Terminal& terminal, std::function<uint64_t()> clock,
                   std::function<void(std::string_view)> write)
    : width_(terminal.is_terminal() ? terminal.width().value_or(0) : 0),
      clock_(std::move(clock)),
      write_(std::move(write)) {
  if (is_on()) next_draw_ = clock_() + kBeforeFirst;
}

void Progress::begin(std::string_view part, Unit unit, uint64_t total) {
  if (!is_on()) return;
  const std::lock_guard lock(mutex_);
  part_ = part;
  total_ = total;
  unit_ = unit;
  done_ = 0;
  // A part that counts nothing has to show now, or never.
  const uint64_t now = clock_();
  if (is_drawn_ || now >= next_draw_) draw(now);
}

void Progress::add(Unit unit, uint64_t count) {
  if (!is_on() || unit != unit_.load(std::memory_order_relaxed)) return;
  done_.fetch_add(count, std::memory_order_relaxed);
  draw_if_due();
}

void Progress::reach(double share) {
  if (!is_on()) return;
  done_ = static_cast<uint64_t>(std::clamp(share, 0.0, 1.0) * double{kWhole});
  draw_if_due();
}

void Progress::draw_if_due() {
  const uint64_t now = clock_();
  if (now < next_draw_.load(std::memory_order_relaxed)) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock() && now >= next_draw_) draw(now);
}

void Progress::finish() {
  if (!is_on()) return;
  const std::lock_guard lock(mutex_);
  unit_ = Unit::kNone;
  if (is_drawn_) write_("\r\x1b[K");
  is_drawn_ = false;
}

void Progress::draw(uint64_t now) {
  next_draw_ = now + kBetween;
  is_drawn_ = true;
  write_("\r" + line() + "\x1b[K");
}

std::string Progress::line() const {
  std::string text = part_;
  const uint64_t done = done_;
  if (total_ != 0) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    const auto filled = static_cast<size_t>(share * kBarWidth);
    text = fmt::format("{} [{}{}] {:.0f} %", part_, std::string(filled, '#'),
                       std::string(kBarWidth - filled, '.'), 100 * share);
  } else if (unit_ == Unit::kBytes) {
    text += ": " + byte_text(done);
  } else if (unit_ == Unit::kBlocks) {
    text += fmt::format(": {:.1f} million blocks", static_cast<double>(done) / 1e6);
  }
  // One column stays free, or the line would begin another one.
  if (text.size() >= width_) text.resize(width_ - 1);
  return text;
}

}  // namespace tide::host
