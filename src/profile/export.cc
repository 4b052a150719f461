#include "profile/export.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "host/pprof_writer.h"

namespace tide::profile {
namespace {

// As protocol buffers write numbers that may be negative.
uint64_t whole(double value) { return static_cast<uint64_t>(std::llround(value)); }

}  // namespace

std::string pprof_of(const Profile& profile, Names& names, Kind kind) {
  host::PprofWriter writer;
  for (const auto& [type, unit] :
       {std::pair("alloc_objects", "count"), std::pair("alloc_space", "bytes"),
        std::pair("inuse_objects", "count"), std::pair("inuse_space", "bytes")}) {
    writer.add_type(type, unit);
  }
  std::map<uint64_t, uint64_t> mappings;
  for (const Names::Module& module : names.modules()) {
    mappings[module.start] =
        writer.add_mapping(module.start, module.end - module.start, module.path, module.build_id);
  }
  const Kind in_use = kind == Kind::kPeak ? Kind::kPeak : Kind::kInUse;
  for (const layout::SampledStack& stack : profile.stacks) {
    const Cost allocated = cost_of(stack, Kind::kAllocated);
    const Cost live = cost_of(stack, in_use);
    std::vector<uint64_t> locations;
    for (uint32_t i = 0; i < stack.frame_count; ++i) {
      const uint64_t address = profile.frames[stack.first_frame + i];
      const Names::Module* const in = names.module(address - 1);
      locations.push_back(writer.location(address, in == nullptr ? 0 : mappings.at(in->start),
                                          names.places(address)));
    }
    writer.add_sample(locations, {whole(allocated.count), whole(allocated.bytes), whole(live.count),
                                  whole(live.bytes)});
  }
  const uint64_t duration = profile.now_ns - profile.table.start_ns;
  return host::gzip(writer.finish(profile.table.gap_bytes, profile.real_now_ns - duration, duration,
                                  kind == Kind::kAllocated ? "alloc_space" : "inuse_space"));
}

std::string folded_of(const Profile& profile, Names& names, Kind kind) {
  // Different addresses may be one function.
  std::map<std::string, double> lines;
  for (const layout::SampledStack& stack : profile.stacks) {
    std::string line;
    for (uint32_t i = stack.frame_count; i-- > 0;) {
      const auto& places = names.places(profile.frames[stack.first_frame + i]);
      for (auto place = places.rbegin(); place != places.rend(); ++place) {
        if (!line.empty()) line += ';';
        line += place->function;
      }
    }
    lines[line.empty() ? "(unknown)" : line] += cost_of(stack, kind).bytes;
  }
  std::string text;
  for (const auto& [line, bytes] : lines) {
    if (std::llround(bytes) > 0) text += fmt::format("{} {}\n", line, std::llround(bytes));
  }
  return text;
}

}  // namespace tide::profile
