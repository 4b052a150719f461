// Checks in three tiers, chosen at compile time by TIDE_CHECK (0 release, 1 cheap, 2 costly).
// A failed check ends the process with one line that names the place; see sys/report.cc.
//   TIDE_ASSERT    always compiled in; for what must hold even in release builds (slow paths only)
//   TIDE_CHECK1    cheap, on from level 1
//   TIDE_CHECK2    may walk structures, on at level 2
// Texts quote the id of the invariant (docs/invariants.md) where there is one.
#pragma once

#include "base/compiler.h"

#ifndef TIDE_CHECK
#define TIDE_CHECK 0
#endif

namespace tide::base {

// Defined in sys/report.cc: prints "tide: internal check failed: TEXT (FILE:LINE)" and aborts.
[[noreturn]] void check_failed(const char* text, const char* file, int line);

}  // namespace tide::base

#define TIDE_ASSERT(condition, text)                                                            \
  do {                                                                                          \
    if (TIDE_UNLIKELY(!(condition))) ::tide::base::check_failed(text, __FILE_NAME__, __LINE__); \
  } while (false)

#if !defined(__FILE_NAME__)
#define __FILE_NAME__ __FILE__
#endif

#define TIDE_CHECK1(condition, text)                             \
  do {                                                           \
    if constexpr (TIDE_CHECK >= 1) TIDE_ASSERT(condition, text); \
  } while (false)

#define TIDE_CHECK2(condition, text)                             \
  do {                                                           \
    if constexpr (TIDE_CHECK >= 2) TIDE_ASSERT(condition, text); \
  } while (false)
