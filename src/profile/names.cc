#include "profile/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace tide::profile {

Names::Names(const Profile& profile, std::shared_ptr<host::SymbolCache> cache)
    : cache_(std::move(cache)) {
  for (const host::Mapping& mapping : profile.maps) {
    if (!mapping.is_file()) continue;
    if (!modules_.empty() && modules_.back().path == mapping.name && mapping.offset != 0) {
      modules_.back().end = mapping.end;
    } else if (mapping.offset == 0) {
      modules_.push_back({mapping.start, mapping.end, mapping.name, "", ""});
    }
  }
  for (Module& module : modules_) {
    const auto known =
        std::lower_bound(profile.files.begin(), profile.files.end(), module.start,
                         [](const ObjectFile& file, uint64_t start) { return file.start < start; });
    if (known == profile.files.end() || known->start != module.start) continue;
    module.file = known->path;
    module.build_id = known->build_id.empty() ? cache_->build_id(known->path) : known->build_id;
  }
}

const Names::Module* Names::module(uint64_t address) const {
  const auto after =
      std::upper_bound(modules_.begin(), modules_.end(), address,
                       [](uint64_t wanted, const Module& module) { return wanted < module.start; });
  if (after == modules_.begin()) return nullptr;
  const Module& found = *std::prev(after);
  return address < found.end ? &found : nullptr;
}

const std::vector<host::SourcePlace>& Names::places(uint64_t address) {
  const auto [at, is_new] = known_.try_emplace(address);
  if (!is_new) return at->second;
  // What a call returns to may be the next function already.
  const Module* const in = module(address - 1);
  if (in != nullptr) at->second = cache_->places(in->file, in->build_id, address - 1 - in->start);
  std::erase_if(at->second, [](const host::SourcePlace& place) { return place.function.empty(); });
  if (at->second.empty()) {
    const size_t slash = in == nullptr ? 0 : in->path.rfind('/') + 1;
    at->second.push_back(
        {in == nullptr ? fmt::format("{:#x}", address)
                       : fmt::format("{}+{:#x}", in->path.substr(slash), address - in->start),
         "", 0});
  }
  return at->second;
}

}  // namespace tide::profile
