#include "sys/zero_pieces.h"

#include <cstdint>

#include "base/compiler.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tide::sys {

namespace {

// In structs, since a template's argument would lose the attributes.
struct Narrow {
  using Vector = uint64_t __attribute__((vector_size(16), may_alias));
};
struct Wide {
  using Vector = uint64_t __attribute__((vector_size(32), aligned(16), may_alias));
};

template <class Kind>
TIDE_INLINE size_t count_zero(const char* p, size_t bytes) {
  using Vector = typename Kind::Vector;
  constexpr size_t kVectors = kZeroPieceBytes / sizeof(Vector);
  for (size_t at = 0; at != bytes; at += kZeroPieceBytes) {
    const auto* const vector = reinterpret_cast<const Vector*>(p + at);
    // What was written mostly shows so at once.
    if (vector[0][0] != 0) return at;
    Vector even{};
    Vector odd{};
    for (size_t i = 0; i != kVectors; i += 2) {
      even |= vector[i];
      odd |= vector[i + 1];
    }
    even |= odd;
    uint64_t found = 0;
    for (size_t i = 0; i != sizeof(Vector) / sizeof found; ++i) found |= even[i];
    if (found != 0) return at;
  }
  return bytes;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) size_t count_zero_wide(const char* p, size_t bytes) {
  return count_zero<Wide>(p, bytes);
}

// The processor has AVX2, and the system keeps its registers.
bool has_wide_vectors() {
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
  constexpr uint32_t kKeptAndAvx = bit_OSXSAVE | bit_AVX;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kKeptAndAvx) != kKeptAndAvx) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (b & bit_AVX2) == 0) return false;
  constexpr uint32_t kBothHalves = 6;
  uint32_t kept = 0;
  uint32_t upper = 0;
  __asm__("xgetbv" : "=a"(kept), "=d"(upper) : "c"(0));
  return (kept & kBothHalves) == kBothHalves;
}
#endif

bool g_wide = false;

}  // namespace

size_t zero_pieces(const void* p, size_t bytes) {
  const auto* const first = static_cast<const char*>(p);
#if defined(__x86_64__)
  if (TIDE_LIKELY(g_wide)) return count_zero_wide(first, bytes);
#endif
  return count_zero<Narrow>(first, bytes);
}

void choose_vectors() {
#if defined(__x86_64__)
  g_wide = has_wide_vectors();
#endif
}

}  // namespace tide::sys
