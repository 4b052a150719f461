// The C++ runtime's side: every operator new and delete, destructors of static and thread-local
// objects, std::bad_alloc and the new-handler.
#include <cstdlib>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <malloc.h>
#include <sys/resource.h>

#include "tests/conformance/conformance.h"

namespace {

struct alignas(256) Wide {
  char bytes[300];
};

void operators() {
  for (size_t size = 0; size < 100000; size += size < 300 ? 1 : size / 7) {
    void* a = ::operator new(size);
    void* b = ::operator new[](size);
    void* c = ::operator new(size, std::nothrow);
    void* d = ::operator new[](size, std::nothrow);
    CHECK(a != nullptr && b != nullptr && c != nullptr && d != nullptr,
          "operator new(%zu) gave null", size);
    CHECK(is_aligned(a, 16) && is_aligned(b, 16), "operator new(%zu) gave %p", size, a);
    CHECK(malloc_usable_size(a) >= size, "operator new(%zu) is not malloc's memory", size);
    ::operator delete(a);
    ::operator delete[](b, size);
    ::operator delete(c, std::nothrow);
    ::operator delete[](d, std::nothrow);
    for (size_t alignment = 1; alignment <= 65536; alignment *= 4) {
      const std::align_val_t align{alignment};
      void* e = ::operator new(size, align);
      void* f = ::operator new[](size, align);
      void* g = ::operator new(size, align, std::nothrow);
      void* h = ::operator new[](size, align, std::nothrow);
      CHECK(is_aligned(e, alignment) && is_aligned(f, alignment) && is_aligned(g, alignment) &&
                is_aligned(h, alignment),
            "operator new(%zu, align %zu) is not aligned", size, alignment);
      ::operator delete(e, align);
      ::operator delete[](f, size, align);
      ::operator delete(g, align, std::nothrow);
      ::operator delete[](h, align, std::nothrow);
    }
    ::operator delete(::operator new(size), size);
    ::operator delete (::operator new (size, std::align_val_t{64}), size, std::align_val_t{64});
  }
  ::operator delete(nullptr);
  ::operator delete(nullptr, 10);
  ::operator delete[](nullptr, 10, std::align_val_t{64});
  std::vector<std::unique_ptr<Wide>> wide;
  for (int i = 0; i < 100; ++i) {
    wide.push_back(std::make_unique<Wide>());
    CHECK(is_aligned(wide.back().get(), 256), "new of an over-aligned type gave %p",
          static_cast<void*>(wide.back().get()));
  }
}

bool throws_bad_alloc(void (*call)()) {
  try {
    call();
  } catch (const std::bad_alloc&) {
    return true;
  }
  return false;
}

int g_handler_calls = 0;
void count_calls() {
  if (++g_handler_calls == 5) std::set_new_handler(nullptr);
}
struct FromHandler {};
void throw_other() { throw FromHandler(); }

void failure() {
  static const size_t kTooMuch = opaque(static_cast<size_t>(PTRDIFF_MAX) - 100);
  CHECK(throws_bad_alloc([] { opaque_pointer(::operator new(kTooMuch)); }),
        "operator new does not throw");
  CHECK(throws_bad_alloc([] { opaque_pointer(::operator new[](kTooMuch)); }),
        "operator new[] does not throw");
  CHECK(throws_bad_alloc([] { opaque_pointer(::operator new(SIZE_MAX)); }),
        "operator new(SIZE_MAX) does not throw");
  CHECK(throws_bad_alloc([] { opaque_pointer(::operator new (kTooMuch, std::align_val_t{64})); }),
        "aligned new does not throw");
  CHECK(throws_bad_alloc([] { opaque_pointer(::operator new[](kTooMuch, std::align_val_t{64})); }),
        "aligned new[] does not throw");
  CHECK(::operator new(kTooMuch, std::nothrow) == nullptr, "nothrow new is not null");
  CHECK(::operator new[](kTooMuch, std::nothrow) == nullptr, "nothrow new[] is not null");
  CHECK(::operator new (kTooMuch, std::align_val_t{64}, std::nothrow) == nullptr,
        "aligned nothrow new");

  std::set_new_handler(count_calls);
  CHECK(throws_bad_alloc([] { opaque_pointer(::operator new(kTooMuch)); }),
        "operator new does not throw after the handler");
  CHECK(g_handler_calls == 5, "the new-handler ran %d times, not 5", g_handler_calls);
  g_handler_calls = 0;
  std::set_new_handler(count_calls);
  CHECK(::operator new(kTooMuch, std::nothrow) == nullptr,
        "nothrow new is not null after the handler");
  CHECK(g_handler_calls == 5, "the new-handler ran %d times for nothrow new, not 5",
        g_handler_calls);

  std::set_new_handler(throw_other);
  bool caught = false;
  try {
    opaque_pointer(::operator new(kTooMuch));
  } catch (const FromHandler&) {
    caught = true;
  }
  CHECK(caught, "what the new-handler throws does not come out of operator new");
  std::set_new_handler(nullptr);
}

struct Late {
  ~Late() {
    std::map<int, std::string> late;
    for (int i = 0; i < 100; ++i) late[i] = std::string(static_cast<size_t>(i) * 10, 'l');
  }
  std::vector<std::string> held;
};

thread_local Late t_late;
thread_local std::unique_ptr<std::string> t_string;

void thread_destructors() {
  size_t before = 0;
  for (int i = 0; i < 2000; ++i) {
    if (i == 200) before = resident_kib();
    std::thread([i] {
      t_late.held.assign(20, std::string(100, 'x'));
      t_string = std::make_unique<std::string>(static_cast<size_t>(i), 'y');
    }).join();
  }
  const size_t after = resident_kib();
  CHECK(after < before + 1024, "thread_local destructors: RSS grew from %zu to %zu KiB", before,
        after);
}

Late g_first;
std::vector<std::string>* g_leaked = new std::vector<std::string>(10, std::string(500, 'z'));
std::unique_ptr<std::vector<std::string>> g_owned(
    new std::vector<std::string>(10, std::string(500, 'z')));

void static_destructors() {
  static Late inside;
  inside.held = *g_leaked;
  g_first.held.assign(1000, std::string(64, 'h'));
  g_owned->resize(5000, std::string(40, 'o'));
  std::atexit([] { g_leaked->push_back(std::string(10000, 'a')); });
  std::exit(0);
}

void pmr() {
  std::pmr::monotonic_buffer_resource monotonic;
  std::pmr::unsynchronized_pool_resource pool(&monotonic);
  std::pmr::vector<std::pmr::string> strings(&pool);
  for (int i = 0; i < 10000; ++i) strings.emplace_back(static_cast<size_t>(i % 300), 'p');
  CHECK(strings[299].size() == 299, "pmr");
}

const Case kCases[] = {
    {"operators", operators},
    {"failure", failure},
    {"thread_destructors", thread_destructors},
    {"static_destructors", static_destructors},
    {"pmr", pmr},
};

}  // namespace

int main(int argc, char** argv) { return conformance_main(kCases, COUNT_OF(kCases), argc, argv); }
