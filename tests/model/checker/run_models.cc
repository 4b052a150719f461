#include "tests/model/checker/run_models.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace checker {

namespace {

void print(const char* name, const Outcome& outcome) {
  printf("%-28s %9llu runs %9llu pruned %10llu steps\n", name,
         static_cast<unsigned long long>(outcome.runs),
         static_cast<unsigned long long>(outcome.pruned),
         static_cast<unsigned long long>(outcome.steps));
}

// The name of the first program that fails with the mutation; null: none does.
const char* finds(const Suite& suite, const std::string& mutation, bool verbose) {
  set_mutation(mutation);
  const char* found = nullptr;
  for (const Program& program : suite.programs) {
    const Outcome outcome = explore(program);
    if (outcome.failure.empty()) continue;
    found = program.name;
    printf("  found   %-44s by %s: %s\n", mutation.c_str(), program.name, outcome.failure.c_str());
    if (verbose) fputs(outcome.trace.c_str(), stdout);
    break;
  }
  set_mutation("");
  return found;
}

}  // namespace

// With a mutation's name as argument: the run that finds it.
int run_suite(const Suite& suite, int argc, char** argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  int failures = 0;
  if (argc == 2) {
    for (const Program& program : suite.programs) explore(program, {.most_runs = 1000});
    return finds(suite, argv[1], true) != nullptr ? 0 : 1;
  }
  for (const Program& program : suite.programs) {
    const Outcome outcome = explore(program);
    print(program.name, outcome);
    if (outcome.failure.empty()) continue;
    printf("  FAILED: %s\n%s", outcome.failure.c_str(), outcome.trace.c_str());
    ++failures;
  }
  if (failures != 0) return 1;
  uint32_t found = 0;
  for (const char* mutation : suite.mutations) {
    if (finds(suite, mutation, false) != nullptr) {
      ++found;
    } else {
      printf("  FAILED: not found: %s\n", mutation);
      ++failures;
    }
  }
  const std::map<std::string, Order> orders = sites();
  for (const auto& [site, order] : orders) {
    if (order == Order::relaxed) continue;
    const auto known = std::find_if(suite.unneeded.begin(), suite.unneeded.end(),
                                    [&](const auto& row) { return site == row.first; });
    const bool is_found = finds(suite, site, false) != nullptr;
    found += is_found;
    if (is_found && known != suite.unneeded.end()) {
      printf("  FAILED: found after all: %s\n", site.c_str());
      ++failures;
    } else if (!is_found && known == suite.unneeded.end()) {
      printf("  FAILED: no model needs %s\n", site.c_str());
      ++failures;
    } else if (!is_found) {
      printf("  spared  %-44s %s\n", site.c_str(), known->second);
    }
  }
  for (const auto& row : suite.unneeded) {
    if (orders.count(row.first) != 0) continue;
    printf("  FAILED: there is no %s\n", row.first);
    ++failures;
  }
  printf("%u mistakes found\n", found);
  return failures == 0 ? 0 : 1;
}

}  // namespace checker
