// Any bytes as events.tide: read, salvaged or refused. And as the records of a packet: what the
// encoder takes of them comes back out of the decoder.
#include <sys/mman.h>
#include <unistd.h>

#include <span>
#include <string>
#include <vector>

#include "format/record_reader.h"
#include "fuzz/input.h"
#include "host/error.h"
#include "trace/chunk_codec.h"
#include "trace/events_file.h"

namespace {

using tide::format::ChunkHead;
using tide::format::Record;
using tide::trace::ChunkDecoder;
using tide::trace::EventsFile;

using tide::trace::PlainRecord;
using tide::trace::RecordRun;

// Few at a time, so that runs end everywhere.
constexpr size_t kRun = 7;

void expect_same(const RecordRun& run, size_t at, const Record& record) {
  const PlainRecord& plain = run.plain[at];
  fuzz::require(plain.call == record.call && plain.path == record.path &&
                plain.has_size == record.has_size && plain.time == record.tick &&
                plain.pointer == record.pointer && plain.size == record.size &&
                plain.usable == record.usable && plain.stack == record.stack);
  const Record rest = plain.whole == 0 ? Record{} : run.whole[plain.whole - 1];
  fuzz::require(rest.text == record.text && rest.frames == record.frames);
  for (int i = 0; i < 4; ++i) fuzz::require(rest.extras[i] == record.extras[i]);
}

// One by one, and in runs: the same records and the same end. Throws what the first way does.
void read_both_ways(const ChunkHead& head, std::span<const uint8_t> stored) {
  static ChunkDecoder one, runs;
  one.open(head, stored);
  runs.open(head, stored);
  RecordRun run;
  run.plain.resize(kRun);
  size_t at = 0;
  bool is_broken = false;
  const auto refill = [&] {
    run.count = at = 0;
    run.whole.clear();
    try {
      runs.read(run);
    } catch (const tide::host::Error&) {
      is_broken = true;
    }
  };
  Record record;
  try {
    while (one.next(record)) {
      if (at == run.count && !is_broken) refill();
      fuzz::require(at < run.count);
      expect_same(run, at++, record);
    }
  } catch (const tide::host::Error&) {
    if (at == run.count && !is_broken) refill();
    fuzz::require(at == run.count && is_broken);
    throw;
  }
  if (at == run.count && !is_broken) refill();
  fuzz::require(at == run.count && !is_broken);
}

void read_chunk(const EventsFile& file, const EventsFile::Chunk& chunk) {
  std::vector<uint8_t> stored;
  file.read(chunk, stored);
  read_both_ways(chunk.head, stored);
}

void read_file(const uint8_t* data, size_t size) {
  static const int memory = memfd_create("events", MFD_CLOEXEC);
  fuzz::require(memory >= 0 && ftruncate(memory, 0) == 0);
  fuzz::require(pwrite(memory, data, size, 0) == static_cast<ssize_t>(size));
  try {
    const EventsFile file("/proc/self/fd/" + std::to_string(memory), EventsFile::Mode::kSalvage);
    for (const EventsFile::Chunk& chunk : file.chunks()) {
      try {
        read_chunk(file, chunk);
      } catch (const tide::host::Error&) {
        // The next one may be right.
      }
    }
  } catch (const tide::host::Error&) {
    // One line for the user.
  }
}

// The payload of a chunk without the checksums, which a fuzzer can't guess.
void read_payload(const uint8_t* data, size_t size) {
  ChunkHead head{};
  if (size < sizeof head.records + sizeof head.plain_bytes) return;
  memcpy(&head.records, data, sizeof head.records);
  memcpy(&head.plain_bytes, data + 4, sizeof head.plain_bytes);
  for (head.codec = tide::format::kFirstCodec; head.codec <= tide::format::kChunkCodec;
       ++head.codec) {
    try {
      read_both_ways(head, {data + 8, size - 8});
    } catch (const tide::host::Error&) {
      // One line for the user.
    }
  }
}

void encode(const uint8_t* data, size_t size) {
  static tide::trace::ChunkEncoder encoder;
  static ChunkDecoder decoder;
  const tide::trace::PacketView packet{7, {data, size}};
  ChunkHead head{};
  std::vector<uint8_t> stored;
  encoder.encode({&packet, 1}, stored, head);
  read_both_ways(head, stored);
  decoder.open(head, stored);
  tide::format::RecordReader reader(data, size, 7);
  Record was, is;
  while (reader.next(was)) {
    fuzz::require(decoder.next(is));
    fuzz::require(is.call == was.call && is.path == was.path && is.has_size == was.has_size &&
                  is.tick == was.tick && is.pointer == was.pointer && is.size == was.size &&
                  is.usable == was.usable && is.stack == was.stack && is.text == was.text &&
                  is.frames == was.frames);
    for (int i = 0; i < 4; ++i) fuzz::require(is.extras[i] == was.extras[i]);
  }
  fuzz::require(!decoder.next(is));
}

}  // namespace

// The first byte says what the others are.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  switch (*data % 3) {
    case 0:
      read_file(data + 1, size - 1);
      break;
    case 1:
      read_payload(data + 1, size - 1);
      break;
    default:
      encode(data + 1, size - 1);
  }
  return 0;
}
