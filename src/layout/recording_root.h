// What `tide trace --pid` finds in a process that runs on Tide, by HeapRoot::recording: where the
// calls can be led to their recording twins, and what they are told there.
//
// Nothing here costs a call anything while nobody records. To record, the tool stops all threads,
// fills in `attachment`, and writes over the first two bytes of each entry a jump to the room in
// front of it, and there one to the twin: no thread can stand between these two bytes. It need not
// stay for that: a process whose recorder was killed goes on, and the next tool finds all that is
// needed to put back what was there.
//
// Rules for changes are those of heap_root.h, `version` is this structure's own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::layout {

inline constexpr uint32_t kRecordingVersion = 2;
// In front of each entry that can be redirected; nobody executes it.
inline constexpr size_t kEntryRoom = 16;

// An exported function: where it begins, and its twin.
struct EntryRow {
  const void* entry;
  const void* twin;
  // As long as Attachment::is_redirected: the 8 bytes before the entry and from it on, as they
  // were.
  uint64_t saved[2];
};

// Written by the tool, all threads standing.
struct Attachment {
  uint64_t number;       // of this recording, in the process; 0: there is none
  uint64_t last_number;  // that was ever given
  void* arena;           // format::TraceArena, mapped
  uint64_t arena_bytes;
  int32_t process;  // that has the slot, by its own number; a forked child has none yet
  uint32_t slot;
  int32_t tool;            // its process number, where it runs
  uint32_t is_redirected;  // 1: entries may be redirected, and `saved` is right
  char allocator[256];     // path of the object that has the malloc; ends with a zero
};

// The recorder's state of a thread: at `of_thread` behind the thread pointer is the address of
// either a place in `outside` (the thread is in no twin), or `inside` (it is), or of a record with
// these fields.
struct StreamsAt {
  int64_t of_thread;
  const void* outside;
  const void* inside;
  uint32_t limit;  // word; 0: the next event takes the slow path
  uint32_t busy;   // word: `idle` or `closed`, or the thread is in a twin. Above `last`: since the
                   // frame of a call that may have ended by an exception
  uint64_t idle;
  uint64_t closed;
  uint64_t last;
  // Where the recorder finds whether to record, and what is there while there is no recording.
  const void* control;
  const void* stopped;
};

struct RecordingRoot {
  uint32_t version;
  uint32_t bytes;
  uint32_t arena_version;  // format::kArenaVersion
  uint32_t entry_room;     // kEntryRoom
  EntryRow* tables[2];     // each ends with a row of nulls; null: there are no such functions
  StreamsAt streams;       // once the heap has started
  Attachment attachment;
  char memory_name[16];  // a text for the kernel
};

}  // namespace tide::layout
