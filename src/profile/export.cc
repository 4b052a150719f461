#include "profile/export.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "host/pprof_writer.h"

namespace tide::profile {
namespace {

// As protocol buffers write numbers that may be negative.
uint64_t whole(double value) { return static_cast<uint64_t>(std::llround(value)); }

// `pages`: of which of these kinds there are values, too.
std::string plain_pprof(const Profile& profile, Names& names, Kind kind,
                        const std::vector<Kind>& pages) {
  host::PprofWriter writer;
  for (const auto& [type, unit] :
       {std::pair("alloc_objects", "count"), std::pair("alloc_space", "bytes"),
        std::pair("inuse_objects", "count"), std::pair("inuse_space", "bytes")}) {
    writer.add_type(type, unit);
  }
  std::vector<Costs> of_pages;
  for (const Kind one : pages) {
    for (const std::string& type : page_types(one)) writer.add_type(type.c_str(), "bytes");
    of_pages.emplace_back(profile, one);
  }
  std::map<uint64_t, uint64_t> mappings;
  for (const Names::Module& module : names.modules()) {
    mappings[module.start] =
        writer.add_mapping(module.start, module.end - module.start, module.path, module.build_id);
  }
  const Costs allocated(profile, Kind::kAllocated);
  const Costs live(profile, kind == Kind::kPeak ? Kind::kPeak : Kind::kInUse);
  for (size_t i = 0; i < profile.stacks.size(); ++i) {
    const layout::SampledStack& stack = profile.stacks[i];
    std::vector<uint64_t> locations;
    for (uint32_t f = 0; f < stack.frame_count; ++f) {
      const uint64_t address = profile.frames[stack.first_frame + f];
      const Names::Module* const in = names.module(address - 1);
      locations.push_back(writer.location(address, in == nullptr ? 0 : mappings.at(in->start),
                                          names.places(address)));
    }
    std::vector<uint64_t> values = {whole(allocated[i].count), whole(allocated[i].bytes),
                                    whole(live[i].count), whole(live[i].bytes)};
    for (size_t k = 0; k < pages.size(); ++k) {
      values.push_back(whole(of_pages[k][i].bytes));
      if (pages[k] != Kind::kResidency) continue;
      values.push_back(whole(of_pages[k][i].swapped));
      values.push_back(whole(of_pages[k][i].absent));
    }
    writer.add_sample(locations, values);
  }
  if (!saw_every_call(profile)) {
    writer.add_comment(
        "not in alloc_objects and alloc_space: most blocks that a thread's cache took back and "
        "gave out again at once");
  }
  const uint64_t duration = profile.now_ns - profile.table.start_ns;
  const std::string shown = kind == Kind::kAllocated ? "alloc_space"
                            : is_of_pages(kind)      ? page_types(kind).front()
                                                     : "inuse_space";
  return writer.finish(profile.table.gap_bytes, profile.real_now_ns - duration, duration,
                       shown.c_str());
}

}  // namespace

std::vector<std::string> page_types(Kind kind) {
  if (kind == Kind::kFragmentation) return {"pinned_space"};
  if (kind == Kind::kResidency) return {"resident_space", "swapped_space", "absent_space"};
  return {};
}

std::string pprof_of(const Profile& profile, Names& names, Kind kind) {
  return host::gzip(plain_pprof(profile, names, kind,
                                is_of_pages(kind) ? std::vector{kind} : std::vector<Kind>{}));
}

std::string whole_pprof_of(const Profile& profile, Names& names) {
  return plain_pprof(profile, names, Kind::kInUse,
                     profile.has_pins    ? std::vector{Kind::kFragmentation, Kind::kResidency}
                     : profile.has_pages ? std::vector{Kind::kResidency}
                                         : std::vector<Kind>{});
}

std::string folded_of(const Profile& profile, Names& names, Kind kind) {
  // Different addresses may be one function.
  std::map<std::string, double> lines;
  const Costs costs(profile, kind);
  for (size_t i = 0; i < profile.stacks.size(); ++i) {
    const layout::SampledStack& stack = profile.stacks[i];
    std::string line;
    for (uint32_t f = stack.frame_count; f-- > 0;) {
      const auto& places = names.places(profile.frames[stack.first_frame + f]);
      for (auto place = places.rbegin(); place != places.rend(); ++place) {
        if (!line.empty()) line += ';';
        line += place->function;
      }
    }
    lines[line.empty() ? "(unknown)" : line] += costs[i].bytes;
  }
  std::string text;
  for (const auto& [line, bytes] : lines) {
    if (std::llround(bytes) > 0) text += fmt::format("{} {}\n", line, std::llround(bytes));
  }
  return text;
}

}  // namespace tide::profile
