// A stack of its own for a function that can be left and entered again.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <functional>
#include <memory>

namespace checker {

class Fiber {
 public:
  // Runs `body` from its start at the next enter(); what ran before is forgotten where it is.
  void begin(std::function<void()> body);
  // Runs until leave() or the end.
  void enter();
  // By the fiber: back to who entered.
  void leave();
  bool is_done() const { return done_; }

 private:
  static void run(unsigned low, unsigned high);

  static constexpr size_t kStackBytes = size_t{64} << 10;

  std::unique_ptr<char[]> stack_;
  std::function<void()> body_;
  bool started_ = false;
  bool done_ = true;
  ucontext_t start_{};
  ucontext_t host_start_{};
  jmp_buf inside_;
  jmp_buf outside_;
};

}  // namespace checker
