#include "trace/export_pprof.h"

#include <fmt/format.h>
#include <zlib.h>

#include <map>
#include <unordered_map>

#include "host/error.h"
#include "host/output_file.h"
#include "trace/stack_table.h"
#include "trace/symbol_table.h"

namespace tide::trace {
namespace {

// A message in the wire format of protocol buffers. Numbers of fields stand where they are used, by
// the names that profile.proto gives them.
class Message {
 public:
  Message& number(uint32_t field, uint64_t value) {
    varint(uint64_t{field} << 3);
    varint(value);
    return *this;
  }
  Message& bytes(uint32_t field, std::string_view value) {
    varint(uint64_t{field} << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(uint32_t field, const Message& value) { return bytes(field, value.bytes_); }
  template <class Values>
  Message& packed(uint32_t field, const Values& values) {
    Message inner;
    for (const uint64_t value : values) inner.varint(value);
    return message(field, inner);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

class Profile {
 public:
  explicit Profile(const EventSource& source) : source_(source) {
    text("");
    for (const auto& [start, module] : source.symbols().modules()) {
      Message mapping;
      mapping.number(1 /*id*/, mappings_.size() + 1)
          .number(2 /*memory_start*/, module.start)
          .number(3 /*memory_limit*/, module.start + module.bytes)
          .number(5 /*filename*/, text(module.path))
          .number(6 /*build_id*/, text(module.build_id))
          .number(7 /*has_functions*/, 1);
      mappings_.emplace(start, mappings_.size() + 1);
      profile_.message(3 /*mapping*/, mapping);
    }
  }

  void add_type(uint32_t field, const char* type, const char* unit) {
    profile_.message(field, Message().number(1, text(type)).number(2, text(unit)));
  }

  void add_sample(uint32_t stack, const std::vector<uint64_t>& values) {
    std::vector<uint64_t> locations;
    for (; stack != 0; stack = source_.stacks().caller(stack)) {
      locations.push_back(location(source_.stacks().frame(stack)));
    }
    profile_.message(2 /*sample*/, Message().packed(1, locations).packed(2, values));
  }

  std::string finish(uint64_t start_ns, uint64_t duration_ns) {
    add_type(11 /*period_type*/, "space", "bytes");
    profile_.number(12 /*period*/, 1)
        .number(9 /*time_nanos*/, start_ns)
        .number(10 /*duration_nanos*/, duration_ns)
        .number(14 /*default_sample_type*/, text("inuse_space"));
    for (const std::string* const entry : in_order_) profile_.bytes(6 /*string_table*/, *entry);
    return profile_.bytes();
  }

 private:
  uint64_t text(std::string_view value) {
    const auto [found, is_new] = texts_.try_emplace(std::string(value), texts_.size());
    if (is_new) in_order_.push_back(&found->first);
    return found->second;
  }

  uint64_t function(const Frame& frame) {
    const auto key = std::make_pair(frame.function, frame.file);
    const auto [found, is_new] = functions_.try_emplace(key, functions_.size() + 1);
    if (is_new) {
      profile_.message(5 /*function*/, Message()
                                           .number(1 /*id*/, found->second)
                                           .number(2 /*name*/, text(frame.function))
                                           .number(3 /*system_name*/, text(frame.function))
                                           .number(4 /*filename*/, text(frame.file)));
    }
    return found->second;
  }

  uint64_t location(uint64_t address) {
    const auto [found, is_new] = locations_.try_emplace(address, locations_.size() + 1);
    if (!is_new) return found->second;
    Message location;
    location.number(1 /*id*/, found->second).number(3 /*address*/, address);
    if (const LoadedModule* const in = source_.symbols().module(address)) {
      location.number(2 /*mapping_id*/, mappings_.at(in->start));
    }
    if (const std::vector<Frame>* const frames = source_.symbols().frames(address)) {
      for (const Frame& frame : *frames) {
        location.message(4 /*line*/,
                         Message().number(1, function(frame)).number(2 /*line*/, frame.line));
      }
    } else {
      const Frame unknown{source_.symbols().names(address, false).front(), "", 0};
      location.message(4 /*line*/, Message().number(1, function(unknown)));
    }
    profile_.message(4 /*location*/, location);
    return found->second;
  }

  const EventSource& source_;
  Message profile_;
  std::unordered_map<std::string, uint64_t> texts_;
  std::vector<const std::string*> in_order_;
  std::map<uint64_t, uint64_t> mappings_;
  std::map<std::pair<std::string, std::string>, uint64_t> functions_;
  std::unordered_map<uint64_t, uint64_t> locations_;
};

void write_gzip(const std::string& path, const std::string& bytes) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    throw host::Error("zlib cannot compress");
  }
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw host::Error("zlib cannot compress");
  host::OutputFile file(path);
  file.write(out);
  file.close();
}

}  // namespace

void PprofExporter::finish(const EventSource& source) {
  Profile profile(source);
  for (const auto& [type, unit] :
       {std::pair("alloc_objects", "count"), std::pair("alloc_space", "bytes"),
        std::pair("inuse_objects", "count"), std::pair("inuse_space", "bytes")}) {
    profile.add_type(1 /*sample_type*/, type, unit);
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
  write_gzip(path_,
             profile.finish(source.process().start_ns, summary_.end_ns() - summary_.begin_ns()));
}

}  // namespace tide::trace
