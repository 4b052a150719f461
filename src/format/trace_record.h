// Records: what one event of a trace looks like in a packet. Written inside of the traced program,
// so every instruction counts; read by the tools. One definition, both directions.
//
// A record is
//
//   head     2 bytes, low byte first:
//              bits 0-4    Call
//              bits 5-6    bytes of the time: 1, 2, 4 or 8
//              bit  7      a detail follows
//              bits 8-10   bytes of the pointer: 0 to 6; 7 means 8
//              bits 11-13  bytes of the size, likewise
//              bits 14-15  bytes of the slack: 0, 1, 2; 3 means 4. In kDelete and kDeleteArray
//                          instead bit 14: the program gave the size
//   time     ticks since the record before it in the packet (the first: since PacketHead)
//   pointer  difference to the last pointer in the packet, in eighths of bytes, zigzag
//   size     what was asked for
//   slack    usable bytes less the size
//   detail   varint: number of the call stack times 8 plus Path
//   extras   varints and texts, as the call has them (see below)
//
// numbers of a given width low byte first, varints as LEB128. A null pointer is a pointer like all
// others, but does not become "the last pointer". A packet starts with last pointer 0, so that it
// can be read without those before it; numbers of call stacks alone go on through all packets of a
// thread.
//
// Extras:
//   kCalloc            count (the size is that of one element)
//   kRealloc           none: pointer is the old block, size what is wanted
//   kReallocarray      count
//   kReallocDone       none: pointer of the new block and its slack over the size that was wanted
//                      (kReallocarray: of one element); null: it failed, the old one lives, or 0
//                      was wanted and it is gone
//   kAlignedAlloc, kMemalign, kFreeAlignedSized   alignment
//   kPosixMemalign     alignment, the call's result (0 or an errno)
//   kNewForm           NewForm, then the alignment if kFormAligned
//   kDeleteForm        likewise; the size is given if kFormSized
//   kMmap              protection, flags, descriptor + 1, offset; pointer null: it failed
//   kBrk               none: pointer is the end of the data afterwards; null: it failed
//   kMremap            the new length, flags; the size is the old length
//   kMadvise           advice
//   kThread            ThreadNote, number (the system's), text (a name, or empty)
//   kProcess           ProcessNote, number, text
//   kStack             how many frames, then each as zigzag difference to the one before it, the
//                      innermost first. Its number is one more than that of the thread's stack
//                      before it; the first is 1
//   kNote              Note, number, second number, text
//   kFailed            errno
//   kLowBits           the bits
//
// A text is a varint of its bytes and the bytes. The text of Note::kModule is the build id in hex,
// a space, and the path; its second number is the length in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/compiler.h"
#include "format/trace_call.h"

namespace tide::format {

inline constexpr unsigned kTimeShift = 5;
inline constexpr unsigned kDetailShift = 7;
inline constexpr unsigned kPointerShift = 8;
inline constexpr unsigned kSizeShift = 11;
inline constexpr unsigned kSlackShift = 14;
inline constexpr unsigned kPointerGrain = 3;  // pointers are eighths

// How a block came to be, as far as the allocator says it.
enum class Path : uint8_t {
  kFast = 0,  // from the thread's cache, or not known
  kRefill = 1,
  kSpan = 2,
  kSystem = 3,
};
inline constexpr size_t kPathCount = 4;

// "thread cache"
constexpr std::string_view path_name(Path path) {
  constexpr std::string_view kNames[kPathCount] = {"thread cache", "refill", "span", "system call"};
  const auto number = static_cast<size_t>(path);
  return number < kPathCount ? kNames[number] : "?";
}

inline constexpr uint64_t zigzag(uint64_t difference) {
  return (difference << 1) ^ (uint64_t{0} - (difference >> 63));
}
inline constexpr uint64_t unzigzag(uint64_t value) {
  return (value >> 1) ^ (uint64_t{0} - (value & 1));
}

// Longest record without texts and frames: what must be free in a packet before one is written.
inline constexpr size_t kMostPlainRecord = 2 + 8 + 8 + 8 + 4 + 10 + 4 * 10;

// Where a thread's next record goes, and what the last one leaves for it.
struct RecordCursor {
  uint8_t* at;
  uint64_t last_tick;
  uint64_t last_pointer;
};

// Writes `value` at `at` in as few of 0 to 6 or 8 bytes as hold it; eight are written over.
// `*code`: its three bits in the head.
TIDE_INLINE uint8_t* put_short(uint8_t* at, uint64_t value, unsigned* code) {
  const unsigned bits = 64u - static_cast<unsigned>(__builtin_clzll(value | 1));
  unsigned bytes = value == 0 ? 0 : (bits + 7) / 8;
  bytes += bytes == 7;
  memcpy(at, &value, 8);
  *code = bytes - (bytes == 8);
  return at + bytes;
}

// The same in 1, 2, 4 or 8 bytes, two bits of code.
TIDE_INLINE uint8_t* put_time(uint8_t* at, uint64_t ticks, unsigned* code) {
  memcpy(at, &ticks, 8);
  const unsigned c =
      unsigned{ticks > 0xff} + unsigned{ticks > 0xffff} + unsigned{ticks > 0xffffffff};
  *code = c;
  return at + (size_t{1} << c);
}

// 0, 1, 2 or 4 bytes; what is longer is cut to 32 bits of ones.
TIDE_INLINE uint8_t* put_slack(uint8_t* at, uint64_t slack, unsigned* code) {
  const uint32_t value = slack < UINT32_MAX ? static_cast<uint32_t>(slack) : UINT32_MAX;
  memcpy(at, &value, 4);
  const unsigned c = unsigned{value > 0} + unsigned{value > 0xff} + unsigned{value > 0xffff};
  *code = c;
  return at + (c == 3 ? 4 : c);
}

inline uint8_t* put_varint(uint8_t* at, uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<uint8_t>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<uint8_t>(value);
  return at;
}

// The part of a record that all have. `tick` is now; `detail` 0: none. The caller has seen to it
// that kMostPlainRecord bytes are free, and appends the extras at cursor.at.
TIDE_INLINE void put_record(RecordCursor& cursor, Call call, uint64_t tick, uint64_t pointer,
                            uint64_t size, uint64_t slack, uint64_t detail) {
  uint8_t* const head = cursor.at;
  unsigned time_code, pointer_code, size_code, slack_code;
  // Clocks of two CPUs may differ by a little.
  const uint64_t ticks = tick > cursor.last_tick ? tick - cursor.last_tick : 0;
  cursor.last_tick += ticks;
  uint8_t* at = put_time(head + 2, ticks, &time_code);
  const uint64_t difference =
      static_cast<uint64_t>(static_cast<int64_t>(pointer - cursor.last_pointer) >> kPointerGrain);
  if (pointer != 0) cursor.last_pointer = pointer & ~uint64_t{(1u << kPointerGrain) - 1};
  at = put_short(at, zigzag(difference), &pointer_code);
  at = put_short(at, size, &size_code);
  at = put_slack(at, slack, &slack_code);
  if (TIDE_UNLIKELY(detail != 0)) at = put_varint(at, detail);
  const auto bits = static_cast<uint16_t>(static_cast<unsigned>(call) | time_code << kTimeShift |
                                          static_cast<unsigned>(detail != 0) << kDetailShift |
                                          pointer_code << kPointerShift | size_code << kSizeShift |
                                          slack_code << kSlackShift);
  memcpy(head, &bits, 2);
  cursor.at = at;
}

// Says in a kDelete or kDeleteArray that was written at `head` that the program gave the size.
TIDE_INLINE void mark_sized(uint8_t* head) { head[1] |= uint8_t{1u << (kSlackShift - 8)}; }

}  // namespace tide::format
