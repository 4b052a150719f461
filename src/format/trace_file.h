// Files of a trace. A trace is a folder:
//
//   trace.json              what was run, when, on which machine, how; written at the start and
//                           once more at the end
//   <number>-<name>/        a program in a process, by ProcessSlot::number and its file's name
//     process.json          who it was, its parent, its end, its counts of lost events
//     events.tide           FileHead, then chunks
//     symbols.json          what the addresses in its call stacks are; written at the end
//
// events.tide only grows. A chunk is a ChunkHead and its payload: packets of one thread, one after
// the other in the thread's order, their records cut into columns and compressed. What
// follows the last whole chunk is cut off by readers that were told to, else an error. All numbers
// low byte first, all structures as they lie in memory on a 64-bit little-endian machine.
//
// The payload is a table of columns, {uint32 plain bytes, uint32 stored bytes} each, and then the
// columns as they are stored: with zstd, or as they are where both numbers are the same. What
// stands in the columns is the business of trace/chunk_codec.h, and of docs/formats.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::format {

inline constexpr char kTraceMagic[8] = {'t', 'i', 'd', 'e', 't', 'r', 'c', '1'};
inline constexpr uint32_t kTraceVersion = 1;
inline constexpr uint32_t kChunkMagic = 0x6b6e6863;  // "chnk", low byte first
inline constexpr uint32_t kChunkCodec = 3;
inline constexpr uint32_t kFirstCodec = 1;  // this one and those between are read, too
// No chunk stands for more bytes of records; how much memory it takes to read one.
inline constexpr uint32_t kMostRecordBytes = 8 << 20;

inline constexpr char kTraceFile[] = "trace.json";
inline constexpr char kProcessFile[] = "process.json";
inline constexpr char kEventsFile[] = "events.tide";
inline constexpr char kSymbolsFile[] = "symbols.json";

struct FileHead {
  char magic[8];
  uint32_t version;
  uint32_t head_bytes;  // of this structure
  uint32_t number;      // ProcessSlot::number
  int32_t pid;
  uint32_t clock;  // format::Clock
  uint32_t tick_shift;
  uint64_t first_tick;
  uint64_t first_ns;      // of CLOCK_REALTIME at first_tick
  double ns_per_tick;     // as measured when the recording began; ChunkHead knows better
  uint32_t packet_bytes;  // no packet is longer
  uint32_t reserved;
};
static_assert(sizeof(FileHead) == 64);

struct ChunkHead {
  uint32_t magic;
  uint32_t head_bytes;
  uint32_t stored_bytes;  // of the payload, as it is in the file
  uint32_t plain_bytes;   // of its columns once decompressed
  uint32_t thread;
  int32_t tid;
  uint32_t sequence;  // of the first packet
  uint32_t packets;
  uint32_t records;
  uint32_t record_bytes;  // as they were written by the program
  uint64_t first_tick;
  uint64_t last_tick;
  // When the collector took it: the two clocks at one moment.
  uint64_t seen_tick;
  uint64_t seen_ns;  // CLOCK_MONOTONIC
  uint64_t lost;     // events of the process that were lost until then
  uint32_t codec;    // how the records stand in the columns: kChunkCodec
  uint32_t reserved;
  uint32_t payload_crc;  // CRC-32 as zlib's, of the stored bytes
  uint32_t head_crc;     // of all before it
};
static_assert(sizeof(ChunkHead) == 96);

}  // namespace tide::format
