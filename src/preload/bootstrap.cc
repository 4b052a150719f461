#include "preload/bootstrap.h"

#include <atomic>
#include <cstring>

#include "base/align.h"

namespace tide::preload {

alignas(64) char g_bootstrap[kBootstrapBytes];

namespace {

constinit std::atomic<size_t> g_used{0};
// Before each block stands its size.
constexpr size_t kSizeBytes = sizeof(size_t);

}  // namespace

void* bootstrap_allocate(size_t alignment, size_t bytes) {
  if (bytes > kBootstrapBytes || alignment > kBootstrapBytes) return nullptr;
  const size_t begin = g_used.fetch_add(bytes + alignment + 2 * 16);
  const uintptr_t first = base::address_of(g_bootstrap);
  const size_t start =
      base::align_up(first + begin + kSizeBytes, alignment < 16 ? 16 : alignment) - first;
  if (start + bytes > kBootstrapBytes) return nullptr;
  memcpy(g_bootstrap + start - kSizeBytes, &bytes, kSizeBytes);
  return g_bootstrap + start;
}

size_t bootstrap_usable_size(const void* p) {
  size_t bytes;
  memcpy(&bytes, static_cast<const char*>(p) - kSizeBytes, kSizeBytes);
  return bytes;
}

}  // namespace tide::preload
