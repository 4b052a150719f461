// Any bytes as events.tide: read, salvaged or refused. And as the records of a packet: what the
// encoder takes of them comes back out of the decoder.
#include <sys/mman.h>
#include <unistd.h>

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

void read_chunk(const EventsFile& file, const EventsFile::Chunk& chunk) {
  std::vector<uint8_t> stored;
  ChunkDecoder decoder;
  file.read(chunk, stored);
  decoder.open(chunk.head, stored);
  Record record;
  while (decoder.next(record)) continue;
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
  head.codec = tide::format::kChunkCodec;
  static ChunkDecoder decoder;
  try {
    decoder.open(head, {data + 8, size - 8});
    Record record;
    while (decoder.next(record)) continue;
  } catch (const tide::host::Error&) {
    // One line for the user.
  }
}

void encode(const uint8_t* data, size_t size) {
  static tide::trace::ChunkEncoder encoder;
  static ChunkDecoder decoder;
  const tide::trace::PacketView packet{7, {data, size}};
  ChunkHead head{};
  std::vector<uint8_t> stored;
  encoder.encode({&packet, 1}, stored, head);
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
