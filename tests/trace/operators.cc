// Every form of operator new and delete, each a number of times of its own.
#include <cstdint>
#include <cstdlib>
#include <new>

extern "C" int tide_trace_marker(const char* name) __attribute__((weak));
extern "C" int tide_trace_active() __attribute__((weak));

namespace {

volatile size_t g_bytes = 100;

template <class New, class Delete>
void times(int count, New make, Delete drop) {
  for (int i = 0; i < count; ++i) {
    void* const p = make();
    if (p == nullptr) abort();
    *static_cast<volatile char*>(p) = 1;
    drop(p);
  }
}

// A failure leaves the thread as it was: what comes next is recorded.
void fail() {
  volatile size_t too_many = SIZE_MAX / 2;
  try {
    ::operator delete(::operator new(too_many));
  } catch (const std::bad_alloc&) {
  }
  if (::operator new(too_many, std::nothrow) != nullptr) abort();
  free(malloc(g_bytes));
}

}  // namespace

// "operators failing": with failures, which some allocators end the process for.
int main(int count, char**) {
  constexpr auto kAlign = std::align_val_t{64};
  if (tide_trace_marker != nullptr) tide_trace_marker("begin");
  if (count > 1) fail();
  times(
      1, [] { return ::operator new(g_bytes); }, [](void* p) { ::operator delete(p); });
  times(
      2, [] { return ::operator new(g_bytes); }, [](void* p) { ::operator delete(p, g_bytes); });
  times(
      4, [] { return ::operator new[](g_bytes); }, [](void* p) { ::operator delete[](p); });
  times(
      8, [] { return ::operator new[](g_bytes); },
      [](void* p) { ::operator delete[](p, g_bytes); });
  times(
      16, [] { return ::operator new(g_bytes, std::nothrow); },
      [](void* p) { ::operator delete(p, std::nothrow); });
  times(
      32, [] { return ::operator new[](g_bytes, std::nothrow); },
      [](void* p) { ::operator delete[](p, std::nothrow); });
  times(
      64, [] { return ::operator new(g_bytes, kAlign); },
      [](void* p) { ::operator delete(p, kAlign); });
  times(
      128, [] { return ::operator new[](g_bytes, kAlign); },
      [](void* p) { ::operator delete[](p, kAlign); });
  times(
      256, [] { return ::operator new(g_bytes, kAlign, std::nothrow); },
      [](void* p) { ::operator delete(p, kAlign, std::nothrow); });
  times(
      512, [] { return ::operator new[](g_bytes, kAlign, std::nothrow); },
      [](void* p) { ::operator delete[](p, kAlign, std::nothrow); });
  times(
      1024, [] { return ::operator new(g_bytes, kAlign); },
      [](void* p) { ::operator delete(p, g_bytes, kAlign); });
  times(
      2048, [] { return ::operator new[](g_bytes, kAlign); },
      [](void* p) { ::operator delete[](p, g_bytes, kAlign); });
  if (tide_trace_marker != nullptr) tide_trace_marker("end");
  return 0;
}
