// A profile that `pprof`, `go tool pprof` and servers of profiles read (profile.proto of pprof).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "host/symbol_cache.h"

namespace tide::host {

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

class PprofWriter {
 public:
  PprofWriter() { text(""); }

  // One for each of a sample's values.
  void add_type(const char* type, const char* unit) { add_type_as(1 /*sample_type*/, type, unit); }
  // Returns its number, from 1 on.
  uint64_t add_mapping(uint64_t start, uint64_t bytes, const std::string& path,
                       const std::string& build_id);
  // The number of the location; `places` are those of inlined functions first. `mapping` 0: none.
  template <class Places>
  uint64_t location(uint64_t address, uint64_t mapping, const Places& places) {
    const auto [found, is_new] = locations_.try_emplace(address, locations_.size() + 1);
    if (!is_new) return found->second;
    Message location;
    location.number(1 /*id*/, found->second).number(3 /*address*/, address);
    if (mapping != 0) location.number(2 /*mapping_id*/, mapping);
    for (const auto& place : places) {
      location.message(
          4 /*line*/,
          Message().number(1, function(place.function, place.file)).number(2 /*line*/, place.line));
    }
    profile_.message(4 /*location*/, location);
    return found->second;
  }
  // Locations leaf first.
  void add_sample(const std::vector<uint64_t>& locations, const std::vector<uint64_t>& values) {
    profile_.message(2 /*sample*/, Message().packed(1, locations).packed(2, values));
  }
  // For people: `pprof -comments`, and on the first page of others.
  void add_comment(std::string_view line) { profile_.number(13 /*comment*/, text(line)); }
  // The whole, which is not compressed.
  std::string finish(uint64_t period, uint64_t start_ns, uint64_t duration_ns,
                     const char* default_type);

 private:
  void add_type_as(uint32_t field, const char* type, const char* unit) {
    profile_.message(field, Message().number(1, text(type)).number(2, text(unit)));
  }
  uint64_t text(std::string_view value);
  uint64_t function(const std::string& name, const std::string& file);

  Message profile_;
  std::unordered_map<std::string, uint64_t> texts_;
  std::vector<const std::string*> in_order_;
  uint64_t mappings_ = 0;
  std::map<std::pair<std::string, std::string>, uint64_t> functions_;
  std::unordered_map<uint64_t, uint64_t> locations_;
};

std::string gzip(const std::string& bytes);

}  // namespace tide::host
