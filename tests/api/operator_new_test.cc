// All forms of operator new and delete, the new-handler, and who throws what.
#include <errno.h>
#include <gtest/gtest.h>
#include <stdint.h>
#include <string.h>

#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "tide/tide.h"

namespace {

constexpr size_t kTooLarge = SIZE_MAX / 4;
const std::nothrow_t& g_nothrow = std::nothrow;

int g_handler_calls = 0;

// Puts the old handler back, whatever the test does.
class WithHandler {
 public:
  explicit WithHandler(std::new_handler handler) : old_(std::set_new_handler(handler)) {
    g_handler_calls = 0;
  }
  ~WithHandler() { std::set_new_handler(old_); }
  WithHandler(const WithHandler&) = delete;
  WithHandler& operator=(const WithHandler&) = delete;

 private:
  std::new_handler old_;
};

void give_up_after_three() {
  if (++g_handler_calls == 3) std::set_new_handler(nullptr);
}

struct OwnException {};

void throw_own() {
  ++g_handler_calls;
  throw OwnException();
}

void throw_bad() {
  ++g_handler_calls;
  throw std::bad_alloc();
}

bool is_ours(const void* p) { return tide_malloc_usable_size(p) != 0; }

TEST(OperatorNew, PlainForms) {
  void* const a = ::operator new(100);
  ASSERT_TRUE(is_ours(a));
  ::operator delete(a);
  void* const b = ::operator new[](0);
  ASSERT_NE(b, nullptr);
  ::operator delete[](b);
  void* const c = ::operator new(100, g_nothrow);
  ASSERT_TRUE(is_ours(c));
  ::operator delete(c, g_nothrow);
  void* const d = ::operator new[](100, g_nothrow);
  ASSERT_TRUE(is_ours(d));
  ::operator delete[](d, g_nothrow);
}

TEST(OperatorNew, SizedDeletes) {
  for (const size_t size : {size_t{1}, size_t{64}, size_t{3000}, size_t{100000}}) {
    ::operator delete(::operator new(size), size);
    ::operator delete[](::operator new[](size), size);
    ::operator delete (::operator new (size, std::align_val_t{64}), size, std::align_val_t{64});
    ::operator delete[](::operator new[](size, std::align_val_t{64}), size, std::align_val_t{64});
  }
  ::operator delete(nullptr);
  ::operator delete (nullptr, size_t{10});
  ::operator delete[](nullptr, std::align_val_t{64});
}

TEST(OperatorNew, AlignedForms) {
  for (size_t alignment = 1; alignment <= size_t{1} << 24; alignment *= 2) {
    const std::align_val_t tag{alignment};
    void* const a = ::operator new(33, tag);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(a) % alignment, 0u);
    ::operator delete(a, tag);
    void* const b = ::operator new[](33, tag, g_nothrow);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(b) % alignment, 0u);
    ::operator delete[](b, tag, g_nothrow);
  }
  struct alignas(512) Wide {
    char bytes[512];
  };
  const auto wide = std::make_unique<Wide>();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(wide.get()) % 512, 0u);
}

TEST(OperatorNew, ABadAlignmentIsBadAlloc) {
  EXPECT_THROW((void)::operator new (16, std::align_val_t{24}), std::bad_alloc);
  EXPECT_THROW((void)::operator new (16, std::align_val_t{0}), std::bad_alloc);
  EXPECT_EQ(::operator new (16, std::align_val_t{24}, g_nothrow), nullptr);
  EXPECT_THROW((void)::operator new (16, std::align_val_t{SIZE_MAX / 2 + 1}), std::bad_alloc);
}

TEST(OperatorNew, ThrowsBadAllocWithoutAHandler) {
  const WithHandler none(nullptr);
  EXPECT_THROW((void)::operator new(kTooLarge), std::bad_alloc);
  EXPECT_THROW((void)::operator new[](kTooLarge), std::bad_alloc);
  EXPECT_THROW((void)::operator new (kTooLarge, std::align_val_t{64}), std::bad_alloc);
  EXPECT_THROW((void)::operator new[](kTooLarge, std::align_val_t{64}), std::bad_alloc);
  EXPECT_THROW(std::vector<char>(size_t{kTooLarge}), std::bad_alloc);
}

TEST(OperatorNew, NothrowFormsGiveNull) {
  const WithHandler none(nullptr);
  EXPECT_EQ(::operator new(kTooLarge, g_nothrow), nullptr);
  EXPECT_EQ(::operator new[](kTooLarge, g_nothrow), nullptr);
  EXPECT_EQ(::operator new (kTooLarge, std::align_val_t{64}, g_nothrow), nullptr);
  EXPECT_EQ(::operator new[](kTooLarge, std::align_val_t{64}, g_nothrow), nullptr);
}

TEST(OperatorNew, TheHandlerRunsUntilItGivesUp) {
  {
    const WithHandler three(give_up_after_three);
    EXPECT_THROW((void)::operator new(kTooLarge), std::bad_alloc);
    EXPECT_EQ(g_handler_calls, 3);
  }
  {
    const WithHandler three(give_up_after_three);
    EXPECT_EQ(::operator new(kTooLarge, g_nothrow), nullptr);
    EXPECT_EQ(g_handler_calls, 3);
  }
  {
    const WithHandler three(give_up_after_three);
    EXPECT_EQ(::operator new (kTooLarge, std::align_val_t{64}, g_nothrow), nullptr);
    EXPECT_EQ(g_handler_calls, 3);
  }
}

TEST(OperatorNew, WhatTheHandlerThrowsPassesThrough) {
  const WithHandler own(throw_own);
  EXPECT_THROW((void)::operator new(kTooLarge), OwnException);
  EXPECT_THROW((void)::operator new[](kTooLarge), OwnException);
  EXPECT_THROW((void)::operator new (kTooLarge, std::align_val_t{64}), OwnException);
  EXPECT_EQ(g_handler_calls, 3);
}

TEST(OperatorNew, NothrowFormsCatchBadAllocOfTheHandler) {
  const WithHandler bad(throw_bad);
  EXPECT_EQ(::operator new(kTooLarge, g_nothrow), nullptr);
  EXPECT_EQ(::operator new[](kTooLarge, g_nothrow), nullptr);
  EXPECT_EQ(::operator new (kTooLarge, std::align_val_t{64}, g_nothrow), nullptr);
  EXPECT_EQ(g_handler_calls, 3);
}

TEST(OperatorNew, MallocCallsNoHandlerAndThrowsNothing) {
  const WithHandler own(throw_own);
  EXPECT_EQ(tide_malloc(kTooLarge), nullptr);
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_EQ(g_handler_calls, 0);
}

TEST(OperatorNew, DestructorsRunWhenAConstructorArrayFails) {
  static int alive = 0;
  struct Counted {
    Counted() {
      if (alive == 5) throw std::runtime_error("six");
      ++alive;
    }
    ~Counted() { --alive; }
    char bytes[40];
  };
  EXPECT_THROW(delete[] new Counted[10], std::runtime_error);
  EXPECT_EQ(alive, 0);
}

}  // namespace
