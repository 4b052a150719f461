// What is known of processes, as rows of the fleet's database.
#pragma once

#include <cstdint>
#include <string>

#include "fleet/batch.h"
#include "profile/names.h"
#include "profile/profile.h"
#include "walk/heap_reader.h"

namespace tide::cli {

// What each row of a process has.
struct FleetLabels {
  std::string host;
  std::string service;
  std::string version;
  std::string command;
  std::string container;  // empty: in none that is known
  int64_t process = 0;    // its number in the fleet
};

// This machine's name.
std::string host_name();

uint64_t now_since_1970();

// A description of this machine.
void add_host(const std::string& host, fleet::Batch& batch);

void add_statistics(const FleetLabels& labels, uint64_t time_ns, uint64_t rss_bytes,
                    const tide_stats& totals, fleet::Batch& batch);
void add_size_class(const FleetLabels& labels, uint64_t time_ns, const tide_class_stats& entry,
                    fleet::Batch& batch);
// Stacks of the same functions are one.
void add_profile(const FleetLabels& labels, uint64_t time_ns, const profile::Profile& profile,
                 profile::Names& names, fleet::Batch& batch);
// A call stack, the innermost function first. Returns its number in the fleet.
int64_t add_stack(const std::vector<std::string>& functions, fleet::Batch& batch);

}  // namespace tide::cli
