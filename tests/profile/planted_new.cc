// A leak by operator new in leak_objects(), after an attempt that fails by an exception; then it
// waits until its standard input ends.
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Object {
  char bytes[96];
};

std::vector<std::unique_ptr<Object>> g_leaked;
constexpr int kObjects = 100'000;
volatile size_t g_too_much = size_t{1} << 60;
char* volatile g_block;

[[gnu::noinline]] std::unique_ptr<Object> leak_objects() { return std::make_unique<Object>(); }

[[gnu::noinline]] bool ask_for_too_much() {
  try {
    g_block = new char[g_too_much];
    return false;
  } catch (const std::bad_alloc&) {
    return true;
  }
}

}  // namespace

int main() {
  if (!ask_for_too_much()) return 1;
  std::thread thread([] {
    g_leaked.reserve(kObjects);
    for (int i = 0; i < kObjects; ++i) {
      g_leaked.push_back(leak_objects());
      const std::string passing(500, 'x');
    }
  });
  thread.join();
  puts("ready");
  fflush(stdout);
  while (getchar() != EOF) {
  }
  return 0;
}
