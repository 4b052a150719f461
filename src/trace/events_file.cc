#include "trace/events_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "host/crc.h"
#include "host/error.h"

namespace tide::trace {

using format::ChunkHead;
using format::FileHead;

namespace {

uint32_t head_crc_of(const ChunkHead& head) {
  return host::crc_of(&head, offsetof(ChunkHead, head_crc));
}

}  // namespace

void seal(ChunkHead& head) {
  head.magic = format::kChunkMagic;
  head.head_bytes = sizeof head;
  head.reserved = 0;
  head.head_crc = head_crc_of(head);
}

EventsFile::EventsFile(const std::string& path, Mode mode) : file_(path) {
  read_file_head();
  uint64_t offset = head_.head_bytes;
  while (offset < file_.bytes()) {
    Chunk chunk{{}, offset};
    std::string fault;
    if (read_chunk_head(offset, chunk.head, fault)) {
      chunks_.push_back(chunk);
      offset += chunk.head.head_bytes + uint64_t{chunk.head.stored_bytes};
      continue;
    }
    if (mode == Mode::kStrict) fail(offset, fault + "; --salvage reads what is intact");
    const uint64_t next = next_chunk(offset + 1);
    faults_.push_back({offset, next - offset, fault});
    offset = next;
  }
}

void EventsFile::read_file_head() {
  if (file_.bytes() < sizeof head_) {
    fail(0, fmt::format("it has {} bytes, and the head of a trace has {}", file_.bytes(),
                        sizeof head_));
  }
  file_.read(0, &head_, sizeof head_);
  if (memcmp(head_.magic, format::kTraceMagic, sizeof head_.magic) != 0) {
    fail(0, "it is no events.tide of a trace");
  }
  if (head_.version != format::kTraceVersion) {
    throw host::Error(fmt::format("'{}' is of version {} of the format, and this tide reads {}",
                                  path(), head_.version, format::kTraceVersion));
  }
  if (head_.head_bytes < sizeof head_ || head_.head_bytes > file_.bytes()) {
    fail(offsetof(FileHead, head_bytes),
         fmt::format("its head can't be {} bytes long", head_.head_bytes));
  }
}

bool EventsFile::read_chunk_head(uint64_t offset, ChunkHead& head, std::string& fault) const {
  const uint64_t left = file_.bytes() - offset;
  if (left < sizeof head) {
    fault = fmt::format("the last {} bytes are no chunk", left);
    return false;
  }
  file_.read(offset, &head, sizeof head);
  if (head.magic != format::kChunkMagic || head.head_bytes != sizeof head) {
    fault = "no chunk begins here";
  } else if (head.head_crc != head_crc_of(head)) {
    fault = "the checksum of the chunk's head is wrong";
  } else if (head.stored_bytes > left - sizeof head) {
    fault = fmt::format("the chunk has {} bytes, and the file ends after {}", head.stored_bytes,
                        left - sizeof head);
  }
  return fault.empty();
}

// The next place from `offset` on that holds a chunk's head, whatever its payload; else the end.
uint64_t EventsFile::next_chunk(uint64_t offset) const {
  constexpr size_t kWindow = 1 << 20;
  constexpr uint32_t kMagic = format::kChunkMagic;
  std::vector<char> window;
  while (offset < file_.bytes() && file_.bytes() - offset >= sizeof(ChunkHead)) {
    window.resize(std::min<uint64_t>(kWindow, file_.bytes() - offset));
    file_.read(offset, window.data(), window.size());
    for (size_t i = 0; i + sizeof kMagic <= window.size(); ++i) {
      if (memcmp(&window[i], &kMagic, sizeof kMagic) != 0) continue;
      ChunkHead head;
      std::string fault;
      if (read_chunk_head(offset + i, head, fault)) return offset + i;
    }
    if (window.size() < kWindow) break;
    offset += window.size() - (sizeof kMagic - 1);
  }
  return file_.bytes();
}

void EventsFile::read(const Chunk& chunk, std::vector<uint8_t>& stored) const {
  stored.resize(chunk.head.stored_bytes);
  const uint64_t start = chunk.offset + chunk.head.head_bytes;
  file_.read(start, stored.data(), stored.size());
  if (host::crc_of(stored.data(), stored.size()) != chunk.head.payload_crc) {
    throw host::Error("the checksum of the chunk's payload is wrong");
  }
}

}  // namespace tide::trace
