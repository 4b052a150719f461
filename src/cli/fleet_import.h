// Files, and whole traces, into the fleet's database.
#pragma once

#include <cstdint>
#include <string>

#include "cli/fleet_rows.h"
#include "fleet/store.h"

namespace tide::cli {

// Again and again for a minute when the database is away. False: it was there already.
bool apply_patiently(fleet::Store& store, const fleet::Batch& batch);

struct SentTrace {
  int64_t trace = 0;
  int64_t events = 0;  // of those that were sent now
  bool was_there = false;
};
// What was sent before and broken off is gone on with. Throws host::Error.
SentTrace send_trace(fleet::Store& store, const std::string& path, const std::string& host,
                     bool salvages);

}  // namespace tide::cli
