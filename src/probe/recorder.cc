#include "probe/recorder.h"

#include "base/mix.h"
#include "base/racy.h"
#include "probe/module_notes.h"
#include "probe/packets.h"
#include "probe/recorded_process.h"
#include "probe/stack_numbers.h"
#include "sys/background.h"
#include "sys/frames.h"
#include "sys/process.h"
#include "sys/thread_end.h"
#include "sys/thread_pointer.h"
#include "sys/unwind_cache.h"

namespace tide::probe {

constinit Recording g_recording{};

namespace {

using format::Control;
using format::StackKind;

constexpr ThreadStream standing_in(uintptr_t busy) {
  ThreadStream stream{};
  stream.busy = busy;
  return stream;
}

constinit ThreadStream g_closed = standing_in(kClosed);
// While a thread is given its own: signal handlers must not.
constinit ThreadStream g_opening = standing_in(kWriting);
constinit const std::atomic<Control> g_paused{Control::kPause};
constinit const std::atomic<Control> g_stopped{Control::kStop};

// Of a packet's memory: a plain record, the low bits before it, what writing runs over.
constexpr size_t kEventBytes = format::kMostPlainRecord + 32;
constexpr uint64_t kLowBits = (1u << format::kPointerGrain) - 1;
constexpr uint64_t kMillisecond = 1'000'000;

constexpr uint64_t number_of(auto value) { return static_cast<uint64_t>(value); }

}  // namespace

constinit thread_local ThreadStream* t_stream = &g_closed;
constinit const std::atomic<Control>* g_control = &g_stopped;

namespace {

// A record of any kind, for which there is room.
void write(ThreadStream& stream, const Event& event, uint64_t tick, uint64_t detail) {
  format::RecordCursor& cursor = stream.cursor;
  if (const uint64_t bits = event.pointer & kLowBits) {
    format::put_record(cursor, Call::kLowBits, tick, 0, 0, 0, 0);
    cursor.at = format::put_varint(cursor.at, bits);
  }
  uint8_t* const head = cursor.at;
  format::put_record(cursor, event.call, tick, event.pointer & ~kLowBits, event.size, event.slack,
                     detail);
  if (event.is_sized) format::mark_sized(head);
  for (uint32_t i = 0; i < event.extra_count; ++i) {
    cursor.at = format::put_varint(cursor.at, event.extras[i]);
  }
}

// The same with a text after the extras; cut to what the packet holds.
void write_text(ThreadStream& stream, const Event& event, std::string_view text) {
  write(stream, event, now(), 0);
  constexpr size_t kLengthBytes = 4;
  const auto left = static_cast<size_t>(stream.end - stream.cursor.at) - kLengthBytes;
  if (text.size() > left) text.remove_suffix(text.size() - left);
  uint8_t* at = format::put_varint(stream.cursor.at, text.size());
  for (const char c : text) *at++ = static_cast<uint8_t>(c);
  stream.cursor.at = at;
  publish(stream);
}

void write_note(ThreadStream& stream, format::Note note, uint64_t number, uint64_t second,
                std::string_view text) {
  write_text(stream, {Call::kNote, 0, 0, 0, {number_of(note), number, second}, 3, false}, text);
}

bool make_room(ThreadStream& stream, size_t bytes);

// Who this is, at the start of the thread's first packet.
void introduce(ThreadStream& stream) {
  if (g_recording.stacks != StackKind::kNone) {
    stream.stack = sys::stack_bounds(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  }
  write_text(stream,
             {Call::kThread,
              0,
              0,
              0,
              {number_of(format::ThreadNote::kStart), number_of(stream.tid)},
              2,
              false},
             {});
  if (!is_first_to_introduce()) return;
  base::TextBuffer<1024> path;
  sys::program_path(path);
  record_process(stream, format::ProcessNote::kStart, number_of(sys::parent_process_id()),
                 path.view());
  record_note(stream, format::Note::kAllocator, 0, 0, g_recording.allocator);
  record_modules(stream);
}

bool begin_packet(ThreadStream& stream) {
  if (stream.number == 0 && !register_thread(stream)) return false;
  format::ProcessSlot* const slot = own_slot();
  if (slot == nullptr || !next_packet(*g_recording.arena, *slot, stream, now())) return false;
  if (g_recording.stacks == StackKind::kNone) stream.limit = stream.end - kEventBytes;
  if (stream.sequence == 1) introduce(stream);
  if (stream.lost != 0) {
    write_note(stream, format::Note::kLost, stream.lost, 0, {});
    stream.lost = 0;
  }
  if (has_module_work()) record_modules(stream);
  return true;
}

// For a text that may be cut.
size_t text_room(std::string_view text) {
  const size_t most = g_recording.arena->packet_bytes / 2;
  return kEventBytes + (text.size() < most ? text.size() : most);
}

bool has_room(const ThreadStream& stream, size_t bytes) {
  return stream.head != nullptr && static_cast<size_t>(stream.end - stream.cursor.at) >= bytes;
}

// False: what was to be recorded is lost, and counted.
bool make_room(ThreadStream& stream, size_t bytes) {
  if (has_room(stream, bytes)) return true;
  // What a new packet begins with may fill it.
  if (begin_packet(stream) && (has_room(stream, bytes) || begin_packet(stream)) &&
      has_room(stream, bytes)) {
    return true;
  }
  count_lost(stream);
  return false;
}

TIDE_INLINE uint64_t stack_number(ThreadStream& stream, const void* frame, uint64_t tick) {
  uintptr_t frames[kMostFrames];
  sys::FrameChain chain{0, 0};
  if (TIDE_LIKELY(g_recording.stacks == StackKind::kFramePointers)) {
    chain = sys::walk_frames(frame, stream.stack, frames, g_recording.stack_depth);
  } else {
    chain.count = sys::capture_known_stack(stream.stack, frames, g_recording.stack_depth);
    for (size_t i = 0; i < chain.count; ++i) chain.hash = sys::hash_frame(chain.hash, frames[i]);
  }
  if (chain.count == 0) return 0;
  return number_stack(stream, frames, chain.count, base::mix(chain.hash), tick);
}

void thread_ended(void* argument) {
  auto& stream = *static_cast<ThreadStream*>(argument);
  // A forked child in which the thread has done nothing.
  if (stream.number == 0) return;
  stream.busy = kWriting;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (is_recording() && make_room(stream, kEventBytes)) {
    write_text(stream,
               {Call::kThread,
                0,
                0,
                0,
                {number_of(format::ThreadNote::kExit), number_of(stream.tid)},
                2,
                false},
               {});
  }
  thread_ends(stream);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  base::published_store(stream.busy, uintptr_t{kIdle});
}

}  // namespace

bool start_recording(format::TraceArena* arena, std::string_view allocator, ptrdiff_t path_at,
                     int32_t slot_of, uint32_t slot) {
  g_recording.by_processor = arena->clock == format::Clock::kTsc;
  g_recording.tick_shift = arena->tick_shift;
  g_recording.stacks = arena->stack_depth == 0 ? StackKind::kNone : arena->stacks;
  g_recording.stack_depth = arena->stack_depth < kMostFrames ? arena->stack_depth : kMostFrames;
  g_recording.stack_table_bytes = g_recording.stacks == StackKind::kNone ? 0 : kStackTableBytes;
  g_recording.has_usable_sizes = (arena->flags & format::kWithUsableSizes) != 0;
  g_recording.allocator = allocator;
  g_recording.path_at = path_at;
  const bool is_first = g_recording.arena == nullptr;
  if (is_first && !prepare_module_notes()) return false;
  if (!is_first) forget_module_notes();
  if (!join_arena(arena, slot_of, slot)) return false;
  if (is_first) sys::watch_thread_ends(thread_ended);
  g_control = &arena->control;
  return true;
}

layout::StreamsAt map_of_streams() {
  return {.of_thread = reinterpret_cast<char*>(&t_stream) - sys::thread_pointer(),
          .outside = &g_closed,
          .inside = &g_opening,
          .limit = offsetof(ThreadStream, limit),
          .busy = offsetof(ThreadStream, busy),
          .idle = kIdle,
          .closed = kClosed,
          .last = kClosed,
          .control = &g_control,
          .stopped = &g_stopped};
}

ThreadStream* open_stream(bool (*start)()) {
  // One of an earlier recording, or the one that stands in.
  ThreadStream* const before = t_stream;
  t_stream = &g_opening;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  ThreadStream* stream = nullptr;
  if (start == nullptr || start()) {
    reap_ended_threads();
    stream = before == &g_closed ? take_stream() : renew_stream(before);
    if (stream == nullptr) g_recording.arena->lost.fetch_add(1, std::memory_order_relaxed);
  }
  if (stream != nullptr) sys::watch_this_thread(stream);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  t_stream = stream != nullptr ? stream : before;
  return stream;
}

ThreadStream* prepare_thread(void* (*routine)(void*), void* argument) {
  reap_ended_threads();
  ThreadStream* const stream = take_stream();
  if (stream == nullptr) return nullptr;
  stream->routine = routine;
  stream->argument = argument;
  return stream;
}

void begin_thread(ThreadStream* stream) {
  stream->busy = kWriting;
  t_stream = stream;
  sys::watch_this_thread(stream);
  if (is_recording()) make_room(*stream, kEventBytes);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  stream->busy = kIdle;
}

TIDE_NOINLINE void record_slow(ThreadStream& stream, const void* frame, const Event& event) {
  if (!is_recording()) return;
  const bool with_stack = g_recording.stacks != StackKind::kNone;
  if (!make_room(stream, with_stack ? kMostStackRecord + kEventBytes : kEventBytes)) return;
  const uint64_t tick = now();
  const uint64_t stack = with_stack && frame != nullptr ? stack_number(stream, frame, tick) : 0;
  write(stream, event, tick, stack << 3 | event.path);
  publish(stream);
}

namespace detail {

TIDE_NOINLINE void record_aside(ThreadStream& stream, const void* frame, Call call,
                                uint64_t pointer, uint64_t size, uint64_t slack, uint64_t path) {
  // The way of all events whose call stack is wanted.
  if (TIDE_LIKELY(frame != nullptr && g_recording.stacks != StackKind::kNone && is_recording() &&
                  has_room(stream, kMostStackRecord + kEventBytes))) {
    const uint64_t tick = now();
    const uint64_t detail = stack_number(stream, frame, tick) << 3 | path;
    format::put_record(stream.cursor, call, tick, pointer, size, slack, detail);
    return publish(stream);
  }
  record_slow(stream, frame, {call, pointer, size, slack, {}, 0, false, path});
}

TIDE_NOINLINE void record_aside_with(ThreadStream& stream, const void* frame, Call call,
                                     uint64_t pointer, uint64_t size, uint64_t slack,
                                     uint64_t extra, uint64_t path) {
  record_slow(stream, frame, {call, pointer, size, slack, {extra}, 1, false, path});
}

}  // namespace detail

void record_note(ThreadStream& stream, format::Note note, uint64_t number, uint64_t second,
                 std::string_view text) {
  if (is_recording() && make_room(stream, text_room(text))) {
    write_note(stream, note, number, second, text);
  }
}

void record_process(ThreadStream& stream, format::ProcessNote note, uint64_t number,
                    std::string_view text) {
  if (!is_recording() || !make_room(stream, text_room(text))) return;
  write_text(stream, {Call::kProcess, 0, 0, 0, {number_of(note), number}, 2, false}, text);
}

void count_lost(ThreadStream& stream) {
  ++stream.lost;
  // Before the recording has begun nothing is.
  if (g_recording.arena == nullptr) return;
  format::ProcessSlot* const slot = known_slot();
  (slot != nullptr ? slot->lost : g_recording.arena->lost).fetch_add(1, std::memory_order_relaxed);
}

void note_nested(ThreadStream& stream, const NestedBlock& block) {
  if (block.pointer == 0 || !is_recording()) return;
  if (stream.nested_count == kMostNested) return count_lost(stream);
  stream.nested[stream.nested_count++] = block;
}

TIDE_COLD void record_nested(ThreadStream& stream, uint64_t result) {
  const uint32_t count = stream.nested_count;
  stream.nested_count = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const NestedBlock& block = stream.nested[i];
    if (block.pointer == result) continue;
    if (stream.hidden == 0) {
      stream.hidden = block.pointer;
      continue;
    }
    record_slow(stream, nullptr,
                {block.call,
                 block.pointer,
                 block.size,
                 block.slack,
                 {block.extra},
                 block.has_extra ? 1u : 0u,
                 false});
  }
}

void record_nested_release(ThreadStream& stream, Call call, uint64_t pointer) {
  for (uint32_t i = 0; i < stream.nested_count; ++i) {
    if (stream.nested[i].pointer != pointer) continue;
    stream.nested[i] = stream.nested[--stream.nested_count];
    return;
  }
  // The call outside has been recorded when it takes a block.
  if (pointer == 0 || pointer == stream.cursor.last_pointer) return;
  record_slow(stream, nullptr, {call, pointer, 0, 0, {}, 0, false});
}

ControlResult pause_recording(ThreadStream& stream) {
  if (!is_recording()) return ControlResult::kNotRecording;
  record_note(stream, format::Note::kPause, 0, 0, {});
  g_control = &g_paused;
  return ControlResult::kDone;
}

ControlResult resume_recording(ThreadStream& stream) {
  if (g_control == &g_stopped) return ControlResult::kNotRecording;
  g_control = &g_recording.arena->control;
  record_note(stream, format::Note::kResume, 0, 0, {});
  return ControlResult::kDone;
}

ControlResult stop_recording() {
  if (g_control == &g_stopped) return ControlResult::kNotRecording;
  g_control = &g_stopped;
  return ControlResult::kDone;
}

ControlResult sync_recording(ThreadStream& stream) {
  format::ProcessSlot* const slot = own_slot();
  if (slot == nullptr || g_control == &g_stopped) return ControlResult::kNotRecording;
  format::TraceArena& arena = *g_recording.arena;
  reap_ended_threads();
  hand_in(arena, stream);
  const uint64_t request = slot->requests.fetch_add(1) + 1;
  wake_collector(arena);
  for (uint32_t tries = 0; slot->answers.load(std::memory_order_acquire) < request; ++tries) {
    constexpr uint32_t kLookAfter = 100;
    if (tries % kLookAfter == kLookAfter - 1 && !format::is_collected(arena.collector.load())) {
      return ControlResult::kNoAnswer;
    }
    sys::sleep_for(tries < kLookAfter ? kMillisecond / 10 : kMillisecond);
  }
  return ControlResult::kDone;
}

}  // namespace tide::probe
