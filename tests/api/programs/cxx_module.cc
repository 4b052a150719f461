// A C++ module for no_runtime.c: the process had no C++ runtime before it came.
#include <cstdint>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

namespace {

constexpr size_t kTooLarge = SIZE_MAX / 4;
int g_calls = 0;

void throwing_handler() {
  ++g_calls;
  throw std::bad_alloc();
}

bool throws_bad_alloc() {
  try {
    ::operator delete(::operator new(kTooLarge));
  } catch (const std::bad_alloc&) {
    return true;
  }
  return false;
}

}  // namespace

extern "C" int run_module() {
  std::vector<std::string> words(1000, std::string(100, 'x'));
  if (!throws_bad_alloc()) return 10;
  if (::operator new(kTooLarge, std::nothrow) != nullptr) return 11;
  std::set_new_handler(throwing_handler);
  if (!throws_bad_alloc() || g_calls != 1) return 12;
  if (::operator new(kTooLarge, std::nothrow) != nullptr || g_calls != 2) return 13;
  std::set_new_handler(nullptr);
  std::puts("fine");
  return 0;
}
