#include "host/pprof_writer.h"

#include <zlib.h>

#include "host/error.h"

namespace tide::host {

uint64_t PprofWriter::text(std::string_view value) {
  const auto [found, is_new] = texts_.try_emplace(std::string(value), texts_.size());
  if (is_new) in_order_.push_back(&found->first);
  return found->second;
}

uint64_t PprofWriter::add_mapping(uint64_t start, uint64_t bytes, const std::string& path,
                                  const std::string& build_id) {
  Message mapping;
  mapping.number(1 /*id*/, ++mappings_)
      .number(2 /*memory_start*/, start)
      .number(3 /*memory_limit*/, start + bytes)
      .number(5 /*filename*/, text(path))
      .number(6 /*build_id*/, text(build_id))
      .number(7 /*has_functions*/, 1);
  profile_.message(3 /*mapping*/, mapping);
  return mappings_;
}

uint64_t PprofWriter::function(const std::string& name, const std::string& file) {
  const auto [found, is_new] =
      functions_.try_emplace(std::make_pair(name, file), functions_.size() + 1);
  if (is_new) {
    profile_.message(5 /*function*/, Message()
                                         .number(1 /*id*/, found->second)
                                         .number(2 /*name*/, text(name))
                                         .number(3 /*system_name*/, text(name))
                                         .number(4 /*filename*/, text(file)));
  }
  return found->second;
}

std::string PprofWriter::finish(uint64_t period, uint64_t start_ns, uint64_t duration_ns,
                                const char* default_type) {
  add_type_as(11 /*period_type*/, "space", "bytes");
  profile_.number(12 /*period*/, period)
      .number(9 /*time_nanos*/, start_ns)
      .number(10 /*duration_nanos*/, duration_ns)
      .number(14 /*default_sample_type*/, text(default_type));
  for (const std::string* const entry : in_order_) profile_.bytes(6 /*string_table*/, *entry);
  return profile_.bytes();
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    throw Error("zlib cannot compress");
  }
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw Error("zlib cannot compress");
  return out;
}

}  // namespace tide::host
