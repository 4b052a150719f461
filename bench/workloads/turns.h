// A run in turns: half of the time with a setting of the allocator, half without, in one process.
//
// Two processes of the same work differ by far more than the setting does, on a machine that others
// use too. Here both halves have the same heap and, as turns are short, the same neighbours.
//
// Used by: server.cc. The setting is Tide's; under another allocator there is nothing to set.
#pragma once

#include <dlfcn.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

#include "harness.h"

namespace tide::bench {

inline long minor_faults() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return use.ru_minflt;
}

// Sets the option `name` on and off in pairs of turns, which of the two comes first drawn by lot,
// for `seconds` in all. `done()`: operations so far. Reports, as fields of the program's line,
// `turns` (pairs), `on_over_off` (mean over pairs of their quotient of operations a second),
// `on_over_off_error` (its standard error), `on_faults` and `off_faults` (page faults in them).
template <class Done>
void run_in_turns(Meter& meter, const char* name, double seconds, double turn, uint64_t seed,
                  Done done) {
  using Set = int (*)(const char*, const char*);
  const auto set = reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "tide_option_set"));
  if (set == nullptr) fail("--turns needs an allocator with tide_option_set: preload Tide", 2);
  double faults[2] = {};
  const auto per_second = [&](bool on) {
    if (set(name, on ? "on" : "off") != 0) fail(std::string("the option ") + name + " is fixed");
    const long faults_before = minor_faults();
    const uint64_t before = done();
    const double begin = seconds_now();
    std::this_thread::sleep_for(std::chrono::duration<double>(turn));
    const double rate = static_cast<double>(done() - before) / (seconds_now() - begin);
    faults[on] += static_cast<double>(minor_faults() - faults_before);
    return rate;
  };
  Rng rng(seed);
  std::vector<double> quotients;
  const double begin = seconds_now();
  const double warm = per_second(true);  // the heap as it is later
  faults[true] = 0;
  while (warm > 0 && seconds_now() - begin + 2 * turn <= seconds) {
    const bool first = rng.below(2) != 0;
    const double one = per_second(first);
    const double other = per_second(!first);
    if (one > 0 && other > 0) quotients.push_back(first ? one / other : other / one);
  }
  const auto count = static_cast<double>(quotients.size());
  if (count < 2) fail("--turns: no two pairs of turns in --seconds", 2);
  double sum = 0;
  for (const double quotient : quotients) sum += quotient;
  double squares = 0;
  for (const double quotient : quotients) squares += std::pow(quotient - sum / count, 2);
  meter.add("turns", count);
  meter.add("on_over_off", sum / count);
  meter.add("on_over_off_error", std::sqrt(squares / (count - 1) / count));
  meter.add("on_faults", faults[true]);
  meter.add("off_faults", faults[false]);
}

}  // namespace tide::bench
