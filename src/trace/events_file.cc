#include "trace/events_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "host/error.h"

namespace tide::trace {

using format::ChunkHead;
using format::FileHead;

namespace {

uint32_t crc_of(const void* data, size_t bytes) {
  return static_cast<uint32_t>(
      crc32(0, static_cast<const uint8_t*>(data), static_cast<uInt>(bytes)));
}

uint32_t crc_of(const ChunkHead& head) { return crc_of(&head, offsetof(ChunkHead, head_crc)); }

}  // namespace

void seal(ChunkHead& head) {
  head.magic = format::kChunkMagic;
  head.head_bytes = sizeof head;
  head.reserved = 0;
  head.head_crc = crc_of(head);
}

EventsFile::EventsFile(const std::string& path, Mode mode)
    : path_(path), file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat info;
  if (file_.get() < 0 || fstat(file_.get(), &info) != 0) {
    throw host::Error(fmt::format("cannot open '{}': {}", path, std::strerror(errno)));
  }
  bytes_ = static_cast<uint64_t>(info.st_size);
  read_file_head();
  uint64_t offset = head_.head_bytes;
  while (offset < bytes_) {
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

void EventsFile::fail(uint64_t offset, const std::string& what) const {
  throw host::Error(fmt::format("'{}' is damaged at offset {}: {}", path_, offset, what));
}

void EventsFile::read_bytes(uint64_t offset, void* to, size_t bytes) const {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = pread(file_.get(), at, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw host::Error(
          fmt::format("cannot read '{}' at offset {}: {}", path_, offset, std::strerror(errno)));
    }
    if (got == 0) fail(offset, "the file ends here");
    at += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
}

void EventsFile::read_file_head() {
  if (bytes_ < sizeof head_) {
    fail(0, fmt::format("it has {} bytes, and the head of a trace has {}", bytes_, sizeof head_));
  }
  read_bytes(0, &head_, sizeof head_);
  if (memcmp(head_.magic, format::kTraceMagic, sizeof head_.magic) != 0) {
    fail(0, "it is no events.tide of a trace");
  }
  if (head_.version != format::kTraceVersion) {
    throw host::Error(fmt::format("'{}' is of version {} of the format, and this tide reads {}",
                                  path_, head_.version, format::kTraceVersion));
  }
  if (head_.head_bytes < sizeof head_ || head_.head_bytes > bytes_) {
    fail(offsetof(FileHead, head_bytes),
         fmt::format("its head can't be {} bytes long", head_.head_bytes));
  }
}

bool EventsFile::read_chunk_head(uint64_t offset, ChunkHead& head, std::string& fault) const {
  const uint64_t left = bytes_ - offset;
  if (left < sizeof head) {
    fault = fmt::format("the last {} bytes are no chunk", left);
    return false;
  }
  read_bytes(offset, &head, sizeof head);
  if (head.magic != format::kChunkMagic || head.head_bytes != sizeof head) {
    fault = "no chunk begins here";
  } else if (head.head_crc != crc_of(head)) {
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
  while (offset < bytes_ && bytes_ - offset >= sizeof(ChunkHead)) {
    window.resize(std::min<uint64_t>(kWindow, bytes_ - offset));
    read_bytes(offset, window.data(), window.size());
    for (size_t i = 0; i + sizeof kMagic <= window.size(); ++i) {
      if (memcmp(&window[i], &kMagic, sizeof kMagic) != 0) continue;
      ChunkHead head;
      std::string fault;
      if (read_chunk_head(offset + i, head, fault)) return offset + i;
    }
    if (window.size() < kWindow) break;
    offset += window.size() - (sizeof kMagic - 1);
  }
  return bytes_;
}

void EventsFile::read(const Chunk& chunk, std::vector<uint8_t>& stored) const {
  stored.resize(chunk.head.stored_bytes);
  const uint64_t start = chunk.offset + chunk.head.head_bytes;
  read_bytes(start, stored.data(), stored.size());
  if (crc_of(stored.data(), stored.size()) != chunk.head.payload_crc) {
    fail(start, "the checksum of the chunk's payload is wrong");
  }
}

}  // namespace tide::trace
