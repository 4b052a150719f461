#include "tests/faults/site_table.h"

#include <dlfcn.h>
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "tests/faults/injector.h"

namespace tide::faults {

namespace {

struct Place {
  uint64_t calls = 0;
  uint64_t faults = 0;
};

std::string without_arguments(std::string name) {
  // "void* tide::heap::Zone<...>::grow(Vm&)": neither arguments of functions nor of templates.
  std::string kept;
  int depth = 0;
  for (const char c : name) {
    if (c == '(' && depth == 0 && kept.find("::") != std::string::npos) break;
    if (c == '<') ++depth;
    if (depth == 0) kept += c;
    if (c == '>') --depth;
  }
  const size_t space = kept.rfind(' ');
  if (space != std::string::npos) kept = kept.substr(space + 1);
  return kept.rfind("tide::", 0) == 0 ? kept.substr(6) : kept;
}

// What addr2line says about a return address: the innermost function there, and its file and line.
std::string name_of(uintptr_t address) {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(address - 1), &info) == 0) return "?";
  const uintptr_t base = reinterpret_cast<uintptr_t>(info.dli_fbase);
  char command[600];
  snprintf(command, sizeof command, "addr2line -f -C -i -e '%s' 0x%lx 2>/dev/null", info.dli_fname,
           address - 1 - base);
  FILE* const pipe = popen(command, "r");
  if (pipe == nullptr) return "?";
  std::vector<std::string> lines;
  char* line = nullptr;
  size_t room = 0;
  for (ssize_t length; (length = getline(&line, &room, pipe)) > 0;) {
    lines.emplace_back(line, static_cast<size_t>(length - 1));
  }
  free(line);
  pclose(pipe);
  if (lines.size() < 2) return "?";
  std::string where = lines[1].substr(lines[1].rfind('/') + 1);
  where = where.substr(0, where.find(' '));
  return without_arguments(lines[0]) + " " + where;
}

}  // namespace

SiteCount show_sites(bool print) {
  SiteCount count{0, 0};
  std::map<std::string, Place> places;
  for (uint32_t i = 0; i < site_count(); ++i) {
    const Site seen = site(i);
    if (seen.address == 0) continue;
    ++count.places;
    count.failed += seen.faults != 0;
    if (!print) continue;
    std::string name = kCallNames[static_cast<uint32_t>(seen.call)];
    name.resize(9, ' ');
    name += name_of(seen.address) + " <- " + name_of(seen.caller);
    places[name].calls += seen.calls;
    places[name].faults += seen.faults;
  }
  for (const auto& [name, place] : places) {
    printf("%9lu of %9lu  %s\n", place.faults, place.calls, name.c_str());
  }
  return count;
}

}  // namespace tide::faults
