#include "sys/zero_pieces.h"

#include <cstdint>

#include "base/compiler.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tide::sys {

namespace {

// In structs, since a template's argument would lose the attributes.
struct OfAll {
  using Vector = uint64_t __attribute__((vector_size(16), aligned(8), may_alias));
};
struct Wide {
  using Vector = uint64_t __attribute__((vector_size(32), aligned(8), may_alias));
};
struct Widest {
  using Vector = uint64_t __attribute__((vector_size(64), aligned(8), may_alias));
};

template <class Vector>
TIDE_INLINE bool is_none(const Vector& vector) {
  uint64_t found = 0;
  for (size_t i = 0; i != sizeof vector / sizeof found; ++i) found |= vector[i];
  return found == 0;
}

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
    if (!is_none(even)) return at;
  }
  return bytes;
}

// Two vectors at a time, of which the last two may overlap those before.
template <class Kind>
TIDE_INLINE bool look_at_all(const char* p, size_t bytes) {
  using Vector = typename Kind::Vector;
  constexpr size_t kStep = 2 * sizeof(Vector);
  static_assert(kStep <= kLeastIsZeroBytes);
  Vector even{};
  Vector odd{};
  const auto look = [&](const char* at) {
    even |= *reinterpret_cast<const Vector*>(at);
    odd |= *reinterpret_cast<const Vector*>(at + sizeof(Vector));
  };
  const char* const last = p + bytes - kStep;
  for (; p < last; p += kStep) look(p);
  look(last);
  even |= odd;
  return is_none(even);
}

#if defined(__x86_64__)
Vectors g_vectors = Vectors::kOfAll;

__attribute__((target("avx2"))) size_t count_zero_wide(const char* p, size_t bytes) {
  return count_zero<Wide>(p, bytes);
}
__attribute__((target("avx2"))) bool look_at_all_wide(const char* p, size_t bytes) {
  return look_at_all<Wide>(p, bytes);
}
__attribute__((target("avx512f"))) size_t count_zero_widest(const char* p, size_t bytes) {
  return count_zero<Widest>(p, bytes);
}
__attribute__((target("avx512f"))) bool look_at_all_widest(const char* p, size_t bytes) {
  return look_at_all<Widest>(p, bytes);
}

// What the processor has and whose registers the system keeps.
Vectors ask_processor() {
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
  constexpr uint32_t kKeptAndAvx = bit_OSXSAVE | bit_AVX;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kKeptAndAvx) != kKeptAndAvx) {
    return Vectors::kOfAll;
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (b & bit_AVX2) == 0) return Vectors::kOfAll;
  constexpr uint32_t kBothHalves = 0x06;
  constexpr uint32_t kAllOfWidest = 0xe6;
  uint32_t kept = 0;
  uint32_t upper = 0;
  __asm__("xgetbv" : "=a"(kept), "=d"(upper) : "c"(0));
  if ((kept & kBothHalves) != kBothHalves) return Vectors::kOfAll;
  // Those that can count bits in them no longer lower their clock for vectors of that width.
  const bool has_widest = (b & bit_AVX512F) != 0 && (c & bit_AVX512VPOPCNTDQ) != 0 &&
                          (kept & kAllOfWidest) == kAllOfWidest;
  return has_widest ? Vectors::kWidest : Vectors::kWide;
}
#endif

}  // namespace

size_t zero_pieces(const void* p, size_t bytes) {
  const auto* const first = static_cast<const char*>(p);
#if defined(__x86_64__)
  if (g_vectors == Vectors::kWidest) return count_zero_widest(first, bytes);
  if (g_vectors == Vectors::kWide) return count_zero_wide(first, bytes);
#endif
  return count_zero<OfAll>(first, bytes);
}

bool is_zero(const void* p, size_t bytes) {
  const auto* const first = static_cast<const char*>(p);
#if defined(__x86_64__)
  if (g_vectors == Vectors::kWidest) return look_at_all_widest(first, bytes);
  if (g_vectors == Vectors::kWide) return look_at_all_wide(first, bytes);
#endif
  return look_at_all<OfAll>(first, bytes);
}

void choose_vectors(Vectors most) {
#if defined(__x86_64__)
  const Vectors has = ask_processor();
  g_vectors = has < most ? has : most;
#else
  static_cast<void>(most);
#endif
}

}  // namespace tide::sys
