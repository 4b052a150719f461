// System calls that a stopped process makes for us: memory in it can't be had from outside. One of
// its threads makes them and is put back to where it was; signals wait meanwhile. x86-64.
#pragma once

#include <sys/user.h>

#include <cstdint>

#include "walk/live_target.h"

namespace tide::walk {

// A word of a stopped process's memory, also where it may not write itself.
uint64_t peek(const LiveTarget& target, uint64_t address);
void poke(const LiveTarget& target, uint64_t address, uint64_t word);

[[noreturn]] void fail_ended(const LiveTarget& target);

class InjectedCalls {
 public:
  // `room`: 8 aligned bytes in code that nobody executes. Throws host::Error.
  InjectedCalls(const LiveTarget& target, uint64_t room);
  ~InjectedCalls();
  InjectedCalls(const InjectedCalls&) = delete;
  InjectedCalls& operator=(const InjectedCalls&) = delete;

  // The kernel's answer: below 0 an error number. Throws host::Error: the process has ended.
  int64_t call(uint64_t number, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0,
               uint64_t e = 0, uint64_t f = 0);

 private:
  void choose_thread();
  void go_on(int request);

  const LiveTarget& target_;
  uint64_t room_;
  uint64_t code_ = 0;  // that was there
  int thread_ = 0;
  user_regs_struct registers_{};
  uint64_t signals_ = 0;
};

}  // namespace tide::walk
