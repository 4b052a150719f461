// How far a job is, on a terminal: a line that is drawn over and over once a job takes longer than
// a second, and is gone at the end. Nothing where the stream is no terminal.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "host/terminal.h"

namespace tide::host {

class Progress {
 public:
  enum class Unit : uint8_t { kNone, kBytes, kBlocks, kShare };

  // Draws to standard error.
  explicit Progress(const Terminal& terminal);
  // For tests: milliseconds, and where the line goes.
  Progress(const Terminal& terminal, std::function<uint64_t()> clock,
           std::function<void(std::string_view)> write);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Whether anything will ever be drawn: else nobody needs to count.
  bool is_on() const { return width_ != 0; }

  // A part of the job begins: "reading references". `total`: how many units it has; 0: not known.
  void begin(std::string_view part, Unit unit = Unit::kNone, uint64_t total = 0);
  // Of units that the part does not count nothing is noted. From any thread.
  void add(Unit unit, uint64_t count);
  // Of a part begun by begin_share(): how much of it is done, from 0 to 1. One thread.
  void begin_share(std::string_view part) { begin(part, Unit::kShare, kWhole); }
  void reach(double share);
  // Takes the line away; what comes next on the terminal is an answer.
  void finish();

 private:
  static constexpr uint64_t kWhole = 1000;

  void draw_if_due();
  void draw(uint64_t now);
  std::string line() const;

  const size_t width_;  // 0: nothing is drawn
  const std::function<uint64_t()> clock_;
  const std::function<void(std::string_view)> write_;
  std::mutex mutex_;  // of what follows, but for atomics
  std::string part_;
  uint64_t total_ = 0;
  bool is_drawn_ = false;
  std::atomic<Unit> unit_{Unit::kNone};
  std::atomic<uint64_t> done_{0};
  std::atomic<uint64_t> next_draw_{0};
};

}  // namespace tide::host
