#include "walk/redirection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>

#include "base/align.h"
#include "format/trace_arena.h"
#include "host/error.h"
#include "walk/heap_reader.h"
#include "walk/injected_calls.h"
#include "walk/tide_root.h"

namespace tide::walk {
namespace {

using layout::Attachment;
using layout::EntryRow;
using layout::RecordingRoot;

constexpr size_t kWord = sizeof(uint64_t);
// jmp to the twin, in the last five bytes before the entry; jmp to there, in its first two.
constexpr uint64_t kLongJump = 0xe9;
constexpr size_t kLongJumpBytes = 5;
constexpr uint64_t kShortJump = 0xf9eb;
constexpr uint64_t kShortJumpMask = 0xffff;
constexpr uint64_t kUnused = 0x9090909090909090;  // nop

using base::address_of;

[[noreturn]] void fail_damaged(const LiveTarget& target) {
  throw host::Error(fmt::format("{}: the description of its recorder is damaged", target.name()));
}

}  // namespace

Redirection::Redirection(const LiveTarget& target) : target_(target) {
  choose(find_roots(target));
  load();
}

// The library may be there more than once; nobody uses the others.
void Redirection::choose(const std::vector<uint64_t>& roots) {
  if (roots.empty()) {
    throw host::Error(
        fmt::format("{} does not run on Tide; start it with 'tide run', or with "
                    "'tide trace -- PROG'",
                    target_.name()));
  }
  bool has_recorder = false;
  for (const uint64_t address : roots) {
    const TideRoot root = read_tide_root(target_, address);
    if (root.root.recording == nullptr) continue;
    has_recorder = true;
    if (!HeapReader(target_, address).is_started()) continue;
    address_ = address_of(root.root.recording);
    return;
  }
  throw host::Error(has_recorder ? fmt::format("{} has Tide, but has allocated nothing with it yet",
                                               target_.name())
                                 : fmt::format("{}: its Tide cannot be recorded", target_.name()));
}

void Redirection::load() {
  const auto root = target_.load<RecordingRoot>(address_);
  if (!root.has_value()) fail_damaged(target_);
  root_ = *root;
  if (root_.version != layout::kRecordingVersion || root_.bytes < sizeof(RecordingRoot) ||
      root_.arena_version != format::kArenaVersion || root_.entry_room != layout::kEntryRoom) {
    throw host::Error(
        fmt::format("{}: its Tide is of another version; use the command that came "
                    "with that library",
                    target_.name()));
  }
  if (root_.streams.of_thread == 0) {
    throw host::Error(fmt::format("{}: its Tide has no thread yet", target_.name()));
  }
}

// Their addresses.
std::vector<uint64_t> Redirection::rows() const {
  constexpr size_t kMost = 64;
  std::vector<uint64_t> result;
  for (const EntryRow* const table : root_.tables) {
    if (table == nullptr) continue;
    for (uint64_t at = address_of(table);; at += sizeof(EntryRow)) {
      const auto row = target_.load<EntryRow>(at);
      if (!row.has_value() || result.size() > kMost) fail_damaged(target_);
      if (row->entry == nullptr) break;
      result.push_back(at);
    }
  }
  if (result.empty()) fail_damaged(target_);
  return result;
}

uint64_t Redirection::entry() const {
  return address_of(target_.load<EntryRow>(rows().front())->entry);
}

uint64_t Redirection::room() const { return entry() - layout::kEntryRoom; }

uint64_t Redirection::number_at() const {
  return field(offsetof(RecordingRoot, attachment) + offsetof(Attachment, number));
}

void Redirection::close_memory(int descriptor) {
  InjectedCalls(target_, room()).call(SYS_close, static_cast<uint64_t>(descriptor));
}

int Redirection::make_memory() {
  InjectedCalls calls(target_, room());
  const int64_t result =
      calls.call(SYS_memfd_create, field(offsetof(RecordingRoot, memory_name)), MFD_CLOEXEC);
  if (result < 0) {
    throw host::Error(fmt::format("{} may not make memory for the records (memfd_create: {})",
                                  target_.name(), std::strerror(static_cast<int>(-result))));
  }
  return static_cast<int>(result);
}

uint64_t Redirection::map_memory(int descriptor, uint64_t bytes) {
  InjectedCalls calls(target_, room());
  const int64_t result = calls.call(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                                    static_cast<uint64_t>(descriptor), 0);
  calls.call(SYS_close, static_cast<uint64_t>(descriptor));
  if (result < 0 && result > -4096) {
    throw host::Error(fmt::format("{} may not map the memory for the records (mmap: {})",
                                  target_.name(), std::strerror(static_cast<int>(-result))));
  }
  return static_cast<uint64_t>(result);
}

void Redirection::write_attachment(const Attachment& attachment) {
  static_assert(sizeof(Attachment) % kWord == 0);
  uint64_t words[sizeof(Attachment) / kWord];
  std::memcpy(words, &attachment, sizeof attachment);
  // The number last: with it the rest counts.
  for (size_t i = std::size(words); i-- > 0;) {
    poke(target_, field(offsetof(RecordingRoot, attachment)) + i * kWord, words[i]);
  }
  root_.attachment = attachment;
}

void Redirection::begin(Attachment attachment) {
  const std::vector<uint64_t> all = rows();
  for (const uint64_t at : all) {
    const auto row = *target_.load<EntryRow>(at);
    const uint64_t entry = address_of(row.entry);
    const auto distance = static_cast<int64_t>(address_of(row.twin) - entry);
    const Segment* const segment = target_.segment_of(entry);
    const uint64_t before = peek(target_, entry - kWord);
    if (segment == nullptr || !segment->is_executable || entry % kWord != 0 ||
        distance != static_cast<int32_t>(distance) || before != kUnused) {
      throw host::Error(
          fmt::format("{}: its function at {:#x} is not as Tide made it; somebody "
                      "else may have redirected it",
                      target_.name(), entry));
    }
    // Not in a library that was optimised: there no first instruction is so short.
    for (const Thread& thread : target_.threads()) {
      if (thread.instruction == entry + 1) {
        throw host::Error(fmt::format("{}: thread {} stands where a function begins; try again",
                                      target_.name(), thread.id));
      }
    }
    poke(target_, at + offsetof(EntryRow, saved), before);
    poke(target_, at + offsetof(EntryRow, saved) + kWord, peek(target_, entry));
  }
  close_streams();
  attachment.number = attachment.last_number = root_.attachment.last_number + 1;
  attachment.is_redirected = 1;
  write_attachment(attachment);
  for (const uint64_t at : all) {
    const auto row = *target_.load<EntryRow>(at);
    const uint64_t entry = address_of(row.entry);
    const uint64_t distance = (address_of(row.twin) - entry) & 0xffffffff;
    const uint64_t jump = kLongJump | distance << 8;
    constexpr unsigned kKept = 8 * (kWord - kLongJumpBytes);
    poke(target_, entry - kWord, (row.saved[0] & ((uint64_t{1} << kKept) - 1)) | jump << kKept);
    poke(target_, entry, (row.saved[1] & ~kShortJumpMask) | kShortJump);
  }
}

void Redirection::restore() {
  if (root_.attachment.is_redirected == 0) return;
  for (const uint64_t at : rows()) {
    const auto row = *target_.load<EntryRow>(at);
    const uint64_t entry = address_of(row.entry);
    poke(target_, entry, row.saved[1]);
    poke(target_, entry - kWord, row.saved[0]);
  }
  Attachment attachment = root_.attachment;
  attachment.is_redirected = 0;
  write_attachment(attachment);
}

// Whether the thread is in no twin. `stream`: its stream, address 0 if it has none of its own.
bool Redirection::is_closed(const Thread& thread, Stream& stream) const {
  const layout::StreamsAt& at = root_.streams;
  stream = {};
  // A thread that is being made, or one without memory of its own, has called nothing.
  const auto place =
      target_.load<uint64_t>(thread.thread_pointer + static_cast<uint64_t>(at.of_thread));
  if (!place.has_value() || *place == address_of(at.outside) || *place == 0) return true;
  if (*place == address_of(at.inside)) return false;
  const auto busy = target_.load<uint64_t>(*place + at.busy);
  if (!busy.has_value()) return true;
  stream = {*place, *busy, thread.stack_pointer};
  if (*busy == at.idle || *busy == at.closed) return true;
  return *busy > at.last && thread.stack_pointer > *busy;
}

bool Redirection::is_anyone_inside() const {
  Stream stream;
  return std::any_of(target_.threads().begin(), target_.threads().end(),
                     [&](const Thread& thread) { return !is_closed(thread, stream); });
}

void Redirection::close_streams() {
  for (const Thread& thread : target_.threads()) {
    Stream stream;
    is_closed(thread, stream);
    if (stream.address == 0) continue;
    poke(target_, stream.address + root_.streams.limit, 0);
    poke(target_, stream.address + root_.streams.busy, root_.streams.closed);
  }
}

void Redirection::end() {
  const Attachment before = root_.attachment;
  close_streams();
  poke(target_, address_of(root_.streams.control), address_of(root_.streams.stopped));
  Attachment attachment{};
  attachment.last_number = before.last_number;
  write_attachment(attachment);
  if (before.arena == nullptr) return;
  InjectedCalls calls(target_, room());
  calls.call(SYS_munmap, address_of(before.arena), before.arena_bytes);
}

}  // namespace tide::walk
