// Files, and whole traces, into the fleet's database.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
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
// Of a folder that is being recorded into: what is whole and from before `until_ns` (since 1970),
// apart from `sent`, batches by process, which grows, as long as `goes_on`. All events until then
// have to be there. Throws like Store::apply().
void send_so_far(fleet::Store& store, const std::string& path, const std::string& host,
                 uint64_t until_ns, std::map<uint32_t, size_t>& sent,
                 const std::function<bool()>& goes_on);
// What was sent before and broken off is gone on with. Throws host::Error.
SentTrace send_trace(fleet::Store& store, const std::string& path, const std::string& host,
                     bool salvages);

}  // namespace tide::cli
