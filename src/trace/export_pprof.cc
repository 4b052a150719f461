#include "trace/export_pprof.h"

#include <map>

#include "host/output_file.h"
#include "host/pprof_writer.h"
#include "trace/stack_table.h"
#include "trace/symbol_table.h"

namespace tide::trace {
namespace {

struct Exported {
  const EventSource& source;
  host::PprofWriter writer;
  std::map<uint64_t, uint64_t> mappings;

  explicit Exported(const EventSource& from) : source(from) {
    for (const auto& [start, module] : source.symbols().modules()) {
      mappings[start] =
          writer.add_mapping(module.start, module.bytes, module.path, module.build_id);
    }
  }

  uint64_t location(uint64_t address) {
    const LoadedModule* const in = source.symbols().module(address);
    const uint64_t mapping = in != nullptr ? mappings.at(in->start) : 0;
    if (const std::vector<Frame>* const frames = source.symbols().frames(address)) {
      return writer.location(address, mapping, *frames);
    }
    const Frame unknown{source.symbols().names(address, false).front(), "", 0};
    return writer.location(address, mapping, std::vector<Frame>{unknown});
  }

  void add_sample(uint32_t stack, const std::vector<uint64_t>& values) {
    std::vector<uint64_t> locations;
    for (; stack != 0; stack = source.stacks().caller(stack)) {
      locations.push_back(location(source.stacks().frame(stack)));
    }
    writer.add_sample(locations, values);
  }
};

}  // namespace

void PprofExporter::finish(const EventSource& source) {
  Exported profile(source);
  for (const auto& [type, unit] :
       {std::pair("alloc_objects", "count"), std::pair("alloc_space", "bytes"),
        std::pair("inuse_objects", "count"), std::pair("inuse_space", "bytes")}) {
    profile.writer.add_type(type, unit);
  }
  const std::vector<StackFigures>& stacks = summary_.stacks();
  const std::vector<Histogram::Bin>& live = summary_.peak().live_stacks();
  // What has no stack is the rest.
  std::vector<uint64_t> rest = {summary_.totals().allocations, summary_.totals().allocated_bytes,
                                summary_.peak().live_blocks(), summary_.peak().live_bytes()};
  for (uint32_t stack = 1; stack < source.stacks().size(); ++stack) {
    const StackFigures figures = stack < stacks.size() ? stacks[stack] : StackFigures{};
    const Histogram::Bin here = stack < live.size() ? live[stack] : Histogram::Bin{};
    const std::vector<uint64_t> values = {figures.allocations, figures.allocated_bytes, here.count,
                                          here.sum};
    if (values == std::vector<uint64_t>(4)) continue;
    for (size_t i = 0; i < 4; ++i) rest[i] -= values[i];
    profile.add_sample(stack, values);
  }
  if (rest != std::vector<uint64_t>(4)) profile.add_sample(0, rest);
  host::OutputFile file(path_);
  file.write(host::gzip(profile.writer.finish(
      1, source.process().start_ns, summary_.end_ns() - summary_.begin_ns(), "inuse_space")));
  file.close();
}

}  // namespace tide::trace
