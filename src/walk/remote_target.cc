#include "walk/remote_target.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "host/error.h"
#include "walk/machine.h"

namespace tide::walk {
namespace {

constexpr std::string_view kGreeting = "tide-reader 2";
constexpr size_t kMostLine = 8192;
constexpr uint64_t kMostMapsBytes = uint64_t{256} << 20;
constexpr size_t kMostRegisters = 64;

[[noreturn]] void fail_of(std::string_view what) {
  throw host::Error(fmt::format("the debugger's side of --reader: {}", what));
}

// The number before the next space, which goes with it.
uint64_t take_number(std::string_view& text, int base) {
  uint64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (fault != std::errc()) fail_of("a number is missing in its head");
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  return value;
}

bool take_word(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

}  // namespace

RemoteTarget::RemoteTarget(int answers, int questions) : answers_(answers), questions_(questions) {
  read_head();
}

void RemoteTarget::receive(void* to, size_t bytes) const {
  auto* out = static_cast<std::byte*>(to);
  while (bytes != 0) {
    const ssize_t got = ::read(answers_, out, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail_of("it ended in the middle of an answer");
    out += got;
    bytes -= static_cast<size_t>(got);
  }
}

std::string RemoteTarget::read_line() {
  std::string line;
  for (char next = 0;;) {
    receive(&next, 1);
    if (next == '\n') return line;
    line += next;
    if (line.size() > kMostLine) fail_of("a line of its head has no end");
  }
}

// ID COUNT REGISTER... NAME
void RemoteTarget::add_thread(std::string_view text) {
  Thread thread;
  thread.id = static_cast<int>(take_number(text, 10));
  const uint64_t count = take_number(text, 10);
  if (count > kMostRegisters) fail_of("a thread has too many registers");
  for (uint64_t i = 0; i < count; ++i) thread.registers.push_back(take_number(text, 16));
  thread.name = text;
  name_registers(thread);
  threads_.push_back(std::move(thread));
}

void RemoteTarget::read_head() {
  if (read_line() != kGreeting) fail_of("it is of another version than this command");
  for (;;) {
    const std::string line = read_line();
    std::string_view text = line;
    if (take_word(text, "name ")) {
      name_ = text;
    } else if (take_word(text, "program ")) {
      program_ = text;
    } else if (take_word(text, "process ")) {
      pid_ = static_cast<int>(take_number(text, 10));
      files_.emplace(host::Proc(), pid_);
      numbers_.emplace(host::Proc(), pid_);
    } else if (take_word(text, "thread ")) {
      add_thread(text);
    } else if (take_word(text, "maps ")) {
      const uint64_t bytes = take_number(text, 10);
      if (bytes > kMostMapsBytes) fail_of("its list of mappings is too long");
      std::string maps(bytes, '\0');
      receive(maps.data(), maps.size());
      segments_ = segments_of(maps);
      return;
    } else {
      fail_of(fmt::format("'{}' is no line of its head", line));
    }
  }
}

// Of another machine's process the files here may be others: that is told by their first page.
std::string RemoteTarget::path_of(const Segment& segment) const {
  if (files_) return path_of_mapped(*files_, host::Proc(), pid_, segment.start);
  return has_other_start(*this, segment, segment.file) ? std::string() : segment.file;
}

size_t RemoteTarget::ask(uint64_t address, size_t bytes, std::byte* to) const {
  const std::array<uint64_t, 2> question = {address, bytes};
  ssize_t sent = 0;
  do {
    sent = write(questions_, question.data(), sizeof question);  // less than a pipe's atomic size
  } while (sent < 0 && errno == EINTR);
  if (sent != ssize_t{sizeof question}) fail_of("it is gone");
  uint64_t got = 0;
  receive(&got, sizeof got);
  if (got > bytes) fail_of("an answer is longer than what was asked for");
  receive(to, got);
  return got;
}

// The chunks of a segment are aligned, but for the first; two segments may share none, or what is
// missing in one would end the other.
const RemoteTarget::Chunk& RemoteTarget::chunk_of(uint64_t address, const Segment& segment) const {
  const uint64_t aligned = address / kChunkBytes * kChunkBytes;
  const uint64_t start = std::max(aligned, segment.start);
  Chunk& chunk = chunks_[start / kChunkBytes % kChunks];
  if (chunk.start != start) {
    const uint64_t end = std::min(aligned + kChunkBytes, segment.end);
    chunk.start = 0;
    chunk.bytes.resize(end - start);
    chunk.bytes.resize(ask(start, end - start, chunk.bytes.data()));
    chunk.start = start;
  }
  return chunk;
}

std::span<const std::byte> RemoteTarget::view(uint64_t address, size_t bytes,
                                              Buffer& buffer) const {
  const Segment* const segment = segment_of(address);
  if (segment == nullptr || segment->present == 0 || bytes == 0) return {};
  const size_t wanted = std::min({uint64_t{bytes}, uint64_t{kMostBytes}, segment->end - address});
  if (buffer.size() < wanted) buffer.resize(wanted);
  const std::lock_guard guard(mutex_);
  if (wanted < kChunkBytes) {
    const Chunk& chunk = chunk_of(address, *segment);
    const uint64_t offset = address - chunk.start;
    if (offset < chunk.bytes.size()) {
      const size_t there = std::min<size_t>(wanted, chunk.bytes.size() - offset);
      std::memcpy(buffer.data(), chunk.bytes.data() + offset, there);
      return std::span<const std::byte>(buffer).first(there);
    }
  }
  // Large, or behind something in its chunk that could not be read.
  return std::span<const std::byte>(buffer).first(ask(address, wanted, buffer.data()));
}

}  // namespace tide::walk
