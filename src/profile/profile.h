// A sampled profile: what a process on Tide kept of its allocations (layout/profile_table.h), read
// from the process or a file, with names for its call stacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/mapped_files.h"
#include "host/process_maps.h"
#include "layout/profile_table.h"

namespace tide::profile {

// An object file that is mapped from its beginning on.
struct ObjectFile {
  uint64_t start;
  std::string path;      // where it can be opened; empty: nowhere here
  std::string build_id;  // empty: none, or that of the file at `path`
};

struct Profile {
  layout::ProfileTable table;
  std::vector<layout::SampledStack> stacks;
  std::vector<uint64_t> frames;
  std::vector<layout::SampledBlock> blocks;  // live ones
  // What is known of their pages, in the same order.
  bool has_pages = false;
  bool has_pins = false;  // their `pinned`, too
  std::vector<layout::SampledPages> pages;
  // Bytes beyond live ones on all pages that live blocks keep, sampled or not.
  std::optional<uint64_t> pinned_bytes;
  std::vector<host::Mapping> maps;
  std::vector<ObjectFile> files;                     // ascending
  std::shared_ptr<const host::MappedFiles> process;  // their paths may be good as long as this is
  uint64_t now_ns = 0;                               // monotonic, when it was read
  uint64_t real_now_ns = 0;                          // since 1970
  int pid = 0;
};

// Bytes at an address of the process. Throws host::Error when they are not there.
using ReadMemory = std::function<void(uint64_t address, void* to, size_t bytes)>;

// The tables at `address` (HeapRoot::profile), as they are at one moment. Throws host::Error.
// Of a process that stands still, or a core, there is one moment only: somebody may be at them.
Profile read_profile(const ReadMemory& read, uint64_t address, bool stands_still = false);

// Keeps those blocks whose pages are known: one that came or went between two looks is not.
void set_pages(Profile& profile, const std::vector<layout::SampledPages>& pages);

// Whether what was allocated has every call in it, and not only those that passed by marked places.
bool saw_every_call(const Profile& profile);

// A file that the library wrote; the files that it names are under `sysroot`. Throws host::Error.
Profile load_profile(const std::string& path, const std::string& sysroot = {});
bool is_profile_file(const std::string& path);

}  // namespace tide::profile
