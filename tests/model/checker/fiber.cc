#include "tests/model/checker/fiber.h"

#include <cstdint>

namespace checker {

void Fiber::begin(std::function<void()> body) {
  if (!stack_) stack_ = std::make_unique<char[]>(kStackBytes);
  body_ = std::move(body);
  started_ = false;
  done_ = false;
}

// makecontext() passes ints only.
void Fiber::run(unsigned low, unsigned high) {
  auto* const self = reinterpret_cast<Fiber*>(uintptr_t{low} | uintptr_t{high} << 32);
  self->body_();
  self->done_ = true;
  _longjmp(self->outside_, 1);
}

// setjmp() and longjmp() switch without system calls; only the first entry needs a context.
void Fiber::enter() {
  if (_setjmp(outside_) != 0) return;
  if (started_) _longjmp(inside_, 1);
  started_ = true;
  getcontext(&start_);
  start_.uc_stack = {.ss_sp = stack_.get(), .ss_flags = 0, .ss_size = kStackBytes};
  start_.uc_link = nullptr;
  const auto self = reinterpret_cast<uintptr_t>(this);
  makecontext(&start_, reinterpret_cast<void (*)()>(run), 2, static_cast<unsigned>(self),
              static_cast<unsigned>(self >> 32));
  swapcontext(&host_start_, &start_);
}

void Fiber::leave() {
  if (_setjmp(inside_) == 0) _longjmp(outside_, 1);
}

}  // namespace checker
