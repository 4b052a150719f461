// Names of the code in a profile's call stacks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/symbol_cache.h"
#include "profile/profile.h"

namespace tide::profile {

class Names {
 public:
  // Profiles of processes that run the same files can share a cache.
  explicit Names(const Profile& profile,
                 std::shared_ptr<host::SymbolCache> cache = std::make_shared<host::SymbolCache>());

  // Of a return address: functions, inlined ones first; at least one, if need be "libx.so+0x12".
  const std::vector<host::SourcePlace>& places(uint64_t address);
  // The file that is mapped there, as it begins in memory; null: none.
  struct Module {
    uint64_t start;
    uint64_t end;
    std::string path;  // as the process has it
    std::string build_id;
    std::string file;  // where it can be opened; empty: nowhere
  };
  const std::vector<Module>& modules() const { return modules_; }
  const Module* module(uint64_t address) const;

 private:
  std::shared_ptr<host::SymbolCache> cache_;
  std::vector<Module> modules_;  // ascending
  std::map<uint64_t, std::vector<host::SourcePlace>> known_;
};

}  // namespace tide::profile
