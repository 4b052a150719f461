// Packets of records, made as the recorder in a program makes them.
#pragma once

#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

#include "format/record_reader.h"
#include "format/trace_record.h"
#include "trace/chunk_codec.h"

namespace tide::trace {

// A packet of any length.
class PacketMaker {
 public:
  explicit PacketMaker(uint64_t first_tick = 0)
      : bytes_(size_t{1} << 22), first_tick_(first_tick), cursor_{bytes_.data(), first_tick, 0} {}

  void put(format::Call call, uint64_t tick, uint64_t pointer, uint64_t size = 0,
           uint64_t slack = 0, uint64_t detail = 0) {
    if ((pointer & 7) != 0) {
      format::put_record(cursor_, format::Call::kLowBits, tick, 0, 0, 0, 0);
      varint(pointer & 7);
    }
    format::put_record(cursor_, call, tick, pointer, size, slack, detail);
  }
  void varint(uint64_t value) { cursor_.at = format::put_varint(cursor_.at, value); }
  void text(std::string_view text) {
    varint(text.size());
    for (const char c : text) *cursor_.at++ = static_cast<uint8_t>(c);
  }
  // A sized delete differs from another one by a bit of its head.
  void mark_sized(size_t offset) { bytes_[offset + 1] |= 0x40; }

  size_t size() const { return static_cast<size_t>(cursor_.at - bytes_.data()); }
  PacketView view() const { return {first_tick_, {bytes_.data(), size()}}; }

 private:
  std::vector<uint8_t> bytes_;
  uint64_t first_tick_;
  format::RecordCursor cursor_;
};

// A record whose text and frames are its own.
struct Kept {
  explicit Kept(const format::Record& from) : record(from), text(from.text), frames(from.frames) {}
  bool operator==(const Kept& other) const {
    const format::Record &a = record, &b = other.record;
    return a.call == b.call && a.path == b.path && a.has_size == b.has_size && a.tick == b.tick &&
           a.pointer == b.pointer && a.size == b.size && a.usable == b.usable &&
           a.stack == b.stack && a.extras[0] == b.extras[0] && a.extras[1] == b.extras[1] &&
           a.extras[2] == b.extras[2] && a.extras[3] == b.extras[3] && text == other.text &&
           frames == other.frames;
  }
  format::Record record;
  std::string text;
  std::string frames;
};

inline std::vector<Kept> records_of(const PacketView& packet) {
  std::vector<Kept> result;
  format::RecordReader reader(packet.records.data(), packet.records.size(), packet.first_tick);
  format::Record record;
  while (reader.next(record)) result.emplace_back(record);
  return result;
}

}  // namespace tide::trace
