#include "walk/places.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

namespace tide::walk {
namespace {

using host::Mapping;

// What glibc aligns arenas to, and their greatest size, on 64-bit machines.
constexpr uint64_t kArenaBytes = uint64_t{64} << 20;
// A page of any system's.
constexpr uint64_t kGuardBytes[] = {4096, 16384, 65536};
// PTHREAD_STACK_MIN; a page alone is one of the allocator's sampled blocks.
constexpr uint64_t kLeastStack = uint64_t{16} << 10;
constexpr uint64_t kGreatestStack = uint64_t{64} << 20;

constexpr std::pair<std::string_view, std::string_view> kLibraries[] = {
    {"libjemalloc", "jemalloc"},
    {"libmimalloc", "mimalloc"},
    {"libtcmalloc", "tcmalloc"},
    {"libsnmalloc", "snmalloc"},
    {"librpmalloc", "rpmalloc"},
    {"libscudo", "scudo"},
    {"libhardened_malloc", "hardened_malloc"},
    {"libtbbmalloc_proxy", "tbbmalloc"},
    {"libhoard", "Hoard"},
};

std::string_view file_name(const Mapping& mapping) {
  const std::string_view name = mapping.name;
  return name.substr(name.rfind('/') + 1);
}

bool has_library(const std::vector<Mapping>& mappings, std::string_view prefix) {
  return std::any_of(mappings.begin(), mappings.end(), [&](const Mapping& mapping) {
    return mapping.is_file() && file_name(mapping).starts_with(prefix);
  });
}

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_shared_memory(const Mapping& mapping) {
  if (starts_with_any(mapping.name,
                      {"/dev/shm/", "/SYSV", "/memfd:", "/dev/zero", "[anon_shmem"})) {
    return true;
  }
  return mapping.is_shared && !mapping.is_file();
}

bool is_anonymous(const Mapping& mapping) {
  return mapping.name.empty() || mapping.name.starts_with("[anon");
}

class PlaceFinder {
 public:
  PlaceFinder(const ProcessPicture& picture, const Allocator& allocator)
      : picture_(picture), mappings_(picture.mappings), allocator_(allocator) {
    for (const Mapping& mapping : mappings_) {
      if (mapping.is_executable && mapping.is_file()) programs_.insert(file_of(mapping));
    }
  }

  std::vector<MappingKind> find() {
    std::vector<MappingKind> places;
    for (size_t i = 0; i < mappings_.size(); ++i) places.push_back(place_of(i, places));
    return places;
  }

 private:
  static std::pair<std::string, uint64_t> file_of(const Mapping& mapping) {
    return {mapping.device, mapping.inode};
  }

  MappingKind place_of(size_t i, const std::vector<MappingKind>& before) const {
    const Mapping& mapping = mappings_[i];
    if (mapping.name == "[heap]") return MappingKind::kBreak;
    if (mapping.name.starts_with("[stack")) return MappingKind::kStack;
    if (is_shared_memory(mapping)) return MappingKind::kShared;
    if (mapping.is_file()) {
      return programs_.contains(file_of(mapping)) ? MappingKind::kProgram : MappingKind::kFile;
    }
    if (!is_anonymous(mapping)) return MappingKind::kProgram;  // [vdso] and the like
    if (is_zeroed_data(i, before)) return MappingKind::kProgram;
    if (is_stack(i)) return MappingKind::kStack;
    if (allocator_.kind == AllocatorKind::kGlibc && is_arena(i)) return MappingKind::kArena;
    return MappingKind::kAnonymous;
  }

  // Behind the last page that the file of a program has.
  bool is_zeroed_data(size_t i, const std::vector<MappingKind>& before) const {
    return i != 0 && before[i - 1] == MappingKind::kProgram && mappings_[i - 1].is_file() &&
           mappings_[i - 1].is_writable && mappings_[i - 1].end == mappings_[i].start &&
           mappings_[i].is_writable;
  }

  // A thread's stack pointer is in it, or there is a guard page right before it: then it is one, or
  // was, and the C library keeps it for the next thread.
  bool is_stack(size_t i) const {
    const Mapping& mapping = mappings_[i];
    if (!mapping.is_writable) return false;
    for (const uint64_t pointer : picture_.stack_pointers) {
      if (mapping.contains(pointer)) return true;
    }
    if (i == 0 || mapping.size() < kLeastStack || mapping.size() > kGreatestStack) return false;
    const Mapping& guard = mappings_[i - 1];
    const bool is_page = std::find(std::begin(kGuardBytes), std::end(kGuardBytes), guard.size()) !=
                         std::end(kGuardBytes);
    return guard.end == mapping.start && is_page && mapping.size() > guard.size() &&
           !guard.is_readable && !guard.is_writable && is_anonymous(guard);
  }

  // At a multiple of its greatest size, and what it has not grown to yet is reserved behind it.
  bool is_arena(size_t i) const {
    const Mapping& mapping = mappings_[i];
    if (mapping.start % kArenaBytes != 0 || !mapping.is_writable) return false;
    if (mapping.size() == kArenaBytes) return true;
    if (i + 1 == mappings_.size()) return false;
    const Mapping& rest = mappings_[i + 1];
    return rest.start == mapping.end && !rest.is_readable && is_anonymous(rest) &&
           rest.end == mapping.start + kArenaBytes;
  }

  const ProcessPicture& picture_;
  const std::vector<Mapping>& mappings_;
  const Allocator& allocator_;
  std::set<std::pair<std::string, uint64_t>> programs_;
};

}  // namespace

Allocator recognise_allocator(const ProcessPicture& picture) {
  if (picture.tide.has_value()) return {AllocatorKind::kTide, "Tide " + picture.tide->version};
  for (const auto& [prefix, name] : kLibraries) {
    if (has_library(picture.mappings, prefix)) {
      return {AllocatorKind::kOther, std::string(name)};
    }
  }
  if (has_library(picture.mappings, "ld-musl")) return {AllocatorKind::kOther, "musl's malloc"};
  if (has_library(picture.mappings, "libc.so.6") || has_library(picture.mappings, "libc-2.")) {
    return {AllocatorKind::kGlibc, "glibc's malloc"};
  }
  return {AllocatorKind::kUnknown, "not known"};
}

std::vector<MappingKind> find_places(const ProcessPicture& picture, const Allocator& allocator) {
  return PlaceFinder(picture, allocator).find();
}

}  // namespace tide::walk
