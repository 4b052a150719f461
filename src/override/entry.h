// Exported functions that `tide trace --pid` can lead to their recording twins, see
// layout/recording_root.h.
#pragma once

#include "base/compiler.h"
#include "layout/recording_root.h"

// Exported, and with layout::kEntryRoom unused bytes in front. They are no part of the function: it
// begins behind them.
#define TIDE_ENTRY TIDE_EXPORT __attribute__((patchable_function_entry(16, 16)))
static_assert(tide::layout::kEntryRoom == 16);

// A name for the entry that no other library's function can take over.
#define TIDE_NAME_ENTRY(name, symbol) \
  __asm__(".globl tide_entry_" #name  \
          "\n"                        \
          ".hidden tide_entry_" #name \
          "\n"                        \
          ".set tide_entry_" #name ", " symbol "\n")

// Both names, as places and not as functions: the table is a constant.
#define TIDE_DECLARE_ENTRY(name)                                                   \
  extern "C" const char tide_entry_##name[] __attribute__((visibility("hidden"))); \
  extern "C" const char tide_recorded_##name[] __attribute__((visibility("hidden")))
#define TIDE_ENTRY_ROW(name)                    \
  {                                             \
    tide_entry_##name, tide_recorded_##name, {} \
  }

// A twin, which calls the same body.
#define TIDE_TWIN extern "C" __attribute__((visibility("hidden")))

extern "C" {
extern tide::layout::EntryRow tide_malloc_entries[] __attribute__((visibility("hidden")));
extern tide::layout::EntryRow tide_new_entries[] __attribute__((visibility("hidden")));
}
