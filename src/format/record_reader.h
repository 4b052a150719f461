// Records read back. Every byte may be hostile: nothing is read outside of the packet, and what
// can't be a record says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "format/trace_call.h"
#include "format/trace_record.h"

namespace tide::format {

// One record as it was written. Which of the fields mean something depends on the call, see
// trace_record.h; the others are 0.
struct Record {
  Call call;
  Path path;
  bool has_size;     // kDelete, kDeleteArray: the sized form
  uint64_t tick;     // absolute
  uint64_t pointer;  // with its low bits
  uint64_t size;
  uint64_t usable;  // size + slack
  uint64_t stack;   // number in its thread, 0: none
  uint64_t extras[4];
  std::string_view text;    // in the packet
  std::string_view frames;  // kStack: in the packet; see next_frame()
};

inline bool read_varint(const uint8_t** at, const uint8_t* end, uint64_t* value) {
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (*at == end) return false;
    const uint8_t byte = *(*at)++;
    result |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return *value = result, true;
  }
  return false;
}

// Takes the next frame off the front of `rest`, which begins as Record::frames, with `*frame` 0.
// False: there are no more.
inline bool next_frame(std::string_view& rest, uint64_t* frame) {
  const uint8_t* const begin = reinterpret_cast<const uint8_t*>(rest.data());
  const uint8_t* at = begin;
  uint64_t difference;
  if (!read_varint(&at, begin + rest.size(), &difference)) return false;
  rest.remove_prefix(static_cast<size_t>(at - begin));
  *frame += unzigzag(difference);
  return true;
}

class RecordReader {
 public:
  RecordReader(const uint8_t* records, size_t bytes, uint64_t first_tick)
      : begin_(records), at_(records), end_(records + bytes), tick_(first_tick) {}

  // False at the end of the packet, and when what follows is no record: then broken() says so, and
  // offset() where.
  bool next(Record& record) {
    uint64_t low_bits = 0;
    while (end_ - at_ >= 2) {
      const uint8_t* const start = at_;
      if (!read(record)) return fail(start);
      if (record.call == Call::kNone) return at_ = start, false;
      if (record.call == Call::kLowBits) {
        low_bits = record.extras[0] & ((1u << kPointerGrain) - 1);
        continue;
      }
      record.pointer |= low_bits;
      return true;
    }
    return at_ == end_ ? false : fail(at_);
  }

  bool broken() const { return broken_; }
  size_t offset() const { return static_cast<size_t>(at_ - begin_); }

 private:
  bool fail(const uint8_t* start) {
    at_ = start;
    broken_ = true;
    return false;
  }

  bool fixed(size_t bytes, uint64_t* value) {
    *value = 0;
    if (static_cast<size_t>(end_ - at_) < bytes) return false;
    memcpy(value, at_, bytes);
    at_ += bytes;
    return true;
  }

  bool numbers(Record& record, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (!read_varint(&at_, end_, &record.extras[i])) return false;
    }
    return true;
  }

  bool text(Record& record) {
    uint64_t bytes;
    if (!read_varint(&at_, end_, &bytes) || bytes > static_cast<size_t>(end_ - at_)) return false;
    record.text = {reinterpret_cast<const char*>(at_), static_cast<size_t>(bytes)};
    at_ += bytes;
    return true;
  }

  bool read(Record& record) {
    uint64_t head, ticks, difference, slack, detail = 0;
    if (!fixed(2, &head)) return false;
    record = {};
    record.call = static_cast<Call>(head & 31);
    if (record.call == Call::kNone) return true;
    const auto width = [&](unsigned shift) {
      const size_t code = (head >> shift) & 7;
      return code == 7 ? size_t{8} : code;
    };
    size_t slack_bytes = head >> kSlackShift;
    const bool slack_is_flag = record.call == Call::kDelete || record.call == Call::kDeleteArray;
    if (slack_is_flag) {
      record.has_size = (slack_bytes & 1) != 0;
      slack_bytes = 0;
    } else if (slack_bytes == 3) {
      slack_bytes = 4;
    }
    if (!fixed(size_t{1} << ((head >> kTimeShift) & 3), &ticks) ||
        !fixed(width(kPointerShift), &difference) || !fixed(width(kSizeShift), &record.size) ||
        !fixed(slack_bytes, &slack)) {
      return false;
    }
    if (((head >> kDetailShift) & 1) != 0 && !read_varint(&at_, end_, &detail)) return false;
    tick_ += ticks;
    record.tick = tick_;
    record.pointer = last_pointer_ + (unzigzag(difference) << kPointerGrain);
    if (record.pointer != 0 && record.call != Call::kLowBits) last_pointer_ = record.pointer;
    record.usable = record.size + slack;
    record.stack = detail >> 3;
    record.path = static_cast<Path>(detail & 7);
    return extras(record);
  }

  bool extras(Record& record) {
    switch (record.call) {
      case Call::kCalloc:
      case Call::kReallocarray:
      case Call::kAlignedAlloc:
      case Call::kMemalign:
      case Call::kFreeAlignedSized:
      case Call::kMadvise:
      case Call::kFailed:
      case Call::kLowBits:
        return numbers(record, 1);
      case Call::kPosixMemalign:
      case Call::kMremap:
        return numbers(record, 2);
      case Call::kNewForm:
      case Call::kDeleteForm:
        if (!numbers(record, 1)) return false;
        record.has_size = (record.extras[0] & kFormSized) != 0;
        return (record.extras[0] & kFormAligned) == 0 || read_varint(&at_, end_, &record.extras[1]);
      case Call::kMmap:
        return numbers(record, 4);
      case Call::kThread:
      case Call::kProcess:
        return numbers(record, 2) && text(record);
      case Call::kNote:
        return numbers(record, 3) && text(record);
      case Call::kStack: {
        if (!numbers(record, 1) || record.extras[0] > static_cast<size_t>(end_ - at_)) return false;
        const uint8_t* const first = at_;
        uint64_t difference;
        for (uint64_t i = 0; i < record.extras[0]; ++i) {
          if (!read_varint(&at_, end_, &difference)) return false;
        }
        record.frames = {reinterpret_cast<const char*>(first), static_cast<size_t>(at_ - first)};
        return true;
      }
      default:
        return true;
    }
  }

  const uint8_t* begin_;
  const uint8_t* at_;
  const uint8_t* end_;
  uint64_t tick_;
  uint64_t last_pointer_ = 0;
  bool broken_ = false;
};

}  // namespace tide::format
