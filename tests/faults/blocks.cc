#include "tests/faults/blocks.h"

#include <pthread.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "tests/stress/calls.h"

namespace tide::faults {

namespace {

struct Block {
  unsigned char* p;
  size_t bytes;
  unsigned char value;
};

constexpr size_t kMost = 8192;
Block g_blocks[kMost];
size_t g_count = 0;
// Where nothing is to be had any more: a workload need not ask thousands of times.
std::atomic<unsigned> g_refusals{0};
constexpr unsigned kEnoughRefusals = 40;
unsigned g_values = 0;
pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;

// The runs are many: of large blocks some pages are touched, no more.
size_t stride(size_t bytes) {
  return bytes <= 512 ? 1 : bytes <= 65'536 ? 509 : bytes <= 1'000'000 ? 8191 : 300'007;
}

void check(const Block& block, size_t known) {
  for (size_t i = 0; i < block.bytes && i < known; i += stride(block.bytes)) {
    if (block.p[i] != block.value) fail("contents changed", block.p, block.bytes);
  }
  if (known >= block.bytes && block.p[block.bytes - 1] != block.value) {
    fail("the last byte changed", block.p, block.bytes);
  }
}

void keep(void* p, size_t bytes) {
  if (p == nullptr) {
    if (errno != ENOMEM) fail("refused with another errno than ENOMEM", p, bytes);
    g_refusals.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  g_refusals.store(0, std::memory_order_relaxed);
  pthread_mutex_lock(&g_mutex);
  const Block block{static_cast<unsigned char*>(p), bytes,
                    static_cast<unsigned char>(++g_values % 255 + 1)};
  for (size_t i = 0; i < bytes; i += stride(bytes)) block.p[i] = block.value;
  block.p[bytes - 1] = block.value;
  if (g_count == kMost) fail("too many blocks for this test", p, bytes);
  g_blocks[g_count++] = block;
  pthread_mutex_unlock(&g_mutex);
}

bool is_hopeless() { return g_refusals.load(std::memory_order_relaxed) >= kEnoughRefusals; }

bool take_out(size_t index, Block& block) {
  pthread_mutex_lock(&g_mutex);
  const bool found = index < g_count || (index == SIZE_MAX && g_count != 0);
  if (found) {
    if (index == SIZE_MAX) index = g_count - 1;
    block = g_blocks[index];
    g_blocks[index] = g_blocks[--g_count];
  }
  pthread_mutex_unlock(&g_mutex);
  return found;
}

void drop(const Block& block) {
  check(block, block.bytes);
  errno = 77;
  stress::release(block.p);
  if (errno != 77) fail("free has changed errno", block.p, block.bytes);
}

}  // namespace

void fail(const char* what, const void* block, size_t bytes) {
  char line[200];
  const int length = snprintf(line, sizeof line, "faults: %s: block %p of %zu bytes, errno %d\n",
                              what, block, bytes, errno);
  if (write(2, line, static_cast<size_t>(length)) < 0) _exit(4);
  _exit(3);
}

void take(size_t bytes) {
  if (!is_hopeless()) keep(stress::allocate(bytes), bytes);
}

void take_zeroed(size_t bytes) {
  if (is_hopeless()) return;
  auto* const p = static_cast<unsigned char*>(stress::allocate_zeroed(bytes));
  for (size_t i = 0; p != nullptr && i < bytes; i += bytes <= 4096 ? 1 : stride(bytes)) {
    if (p[i] != 0) fail("calloc's memory is not zero", p, bytes);
  }
  keep(p, bytes);
}

void take_aligned(size_t alignment, size_t bytes) {
  if (is_hopeless()) return;
  void* const p = stress::allocate_aligned(alignment, bytes);
  if (reinterpret_cast<uintptr_t>(p) % alignment != 0) fail("alignment", p, alignment);
  if (p == nullptr) errno = ENOMEM;  // posix_memalign returns it
  keep(p, bytes);
}

void resize_newest(size_t bytes) {
  Block block;
  if (!take_out(SIZE_MAX, block)) return take(bytes);
  void* const moved = stress::reallocate(block.p, bytes);
  if (moved == nullptr) {
    if (errno != ENOMEM) fail("realloc: another errno than ENOMEM", block.p, bytes);
    check(block, block.bytes);
    return drop(block);
  }
  block.p = static_cast<unsigned char*>(moved);
  check(block, bytes < block.bytes ? bytes : block.bytes);
  keep(moved, bytes);
}

void drop_every(size_t period) {
  Block block;
  for (size_t i = 0; take_out(i, block); i += period - 1) drop(block);
}

void drop_newest() {
  Block block;
  if (take_out(SIZE_MAX, block)) drop(block);
}

void drop_all() {
  Block block;
  while (take_out(SIZE_MAX, block)) drop(block);
}

void check_all() {
  for (size_t i = 0; i < g_count; ++i) check(g_blocks[i], g_blocks[i].bytes);
}

size_t held_blocks() { return g_count; }

void take_heart() { g_refusals.store(0); }

}  // namespace tide::faults
