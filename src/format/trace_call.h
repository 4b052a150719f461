// The calls that a trace knows, and their names: the ones that people read, in `tide info` and in
// every export.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tide::format {

// In a record these are five bits. New ones go to the end; what a number means never changes within
// a version of the format.
enum class Call : uint8_t {
  kNone = 0,  // no record: the rest of the packet is empty
  kMalloc,
  kFree,
  kCalloc,
  kRealloc,       // the intent: from here on the old block may be gone
  kReallocDone,   // the result of the thread's last kRealloc or kReallocarray
  kReallocarray,  // as kRealloc
  kAlignedAlloc,
  kPosixMemalign,
  kMemalign,
  kValloc,
  kPvalloc,
  kFreeSized,
  kFreeAlignedSized,
  kNew,
  kNewArray,
  kNewForm,  // an aligned or nothrow operator new; see NewForm
  kDelete,   // with a size where the program called the sized form
  kDeleteArray,
  kDeleteForm,  // an aligned or nothrow operator delete; see NewForm
  kMmap,
  kMunmap,
  kMremap,      // the intent, as kRealloc
  kMremapDone,  // its result
  kBrk,         // brk and sbrk
  kMadvise,
  kThread,   // see ThreadNote
  kProcess,  // see ProcessNote
  kStack,    // defines a call stack
  kNote,     // see Note
  kFailed,   // the thread's last kMunmap or kMadvise failed
  kLowBits,  // the low bits of the next record's pointer, when they are not 0
};
inline constexpr size_t kCallCount = 32;
static_assert(static_cast<size_t>(Call::kLowBits) + 1 == kCallCount);

// Which operator new or delete it is, for those that have a record kind in common.
enum NewForm : uint8_t {
  kFormArray = 1,
  kFormAligned = 2,  // the alignment follows
  kFormNothrow = 4,
  kFormSized = 8,
};

enum class ThreadNote : uint8_t { kStart = 0, kExit = 1, kName = 2 };

enum class ProcessNote : uint8_t {
  kStart = 0,  // number: the parent's; text: the path of the program
  kFork = 1,   // number: the child's
  kExec = 2,   // text: the path of the new program
  kExit = 3,   // number: the exit status, where it is known
  kSpawn = 4,  // posix_spawn, system, popen; number: the child's, 0: not known; text: the path of
               // its program
};

enum class Note : uint8_t {
  kMarker = 0,  // text: what the program calls the moment
  kPause = 1,
  kResume = 2,
  kReset = 3,      // what came before is not of interest
  kLost = 4,       // number: events that were not recorded since the last such note
  kModule = 5,     // an object file in memory: number: its address; text: see trace_record.h
  kAllocator = 6,  // text: the object that serves the calls
  kLive = 7,       // a block from before the recording: number: its address, then its usable bytes
  kMemory = 8,     // what the program has at the moment: see memory_sample.h
  kTouched = 9,  // a large block is about to go, or the program: number: its address, then how many
                 // of its bytes are in memory
};

// The name of the call that people know, "malloc"; for what is no call, what it is, "thread".
std::string_view constexpr call_name(Call call) {
  constexpr std::string_view kNames[kCallCount] = {"none",
                                                   "malloc",
                                                   "free",
                                                   "calloc",
                                                   "realloc",
                                                   "realloc result",
                                                   "reallocarray",
                                                   "aligned_alloc",
                                                   "posix_memalign",
                                                   "memalign",
                                                   "valloc",
                                                   "pvalloc",
                                                   "free_sized",
                                                   "free_aligned_sized",
                                                   "new",
                                                   "new[]",
                                                   "new (form)",
                                                   "delete",
                                                   "delete[]",
                                                   "delete (form)",
                                                   "mmap",
                                                   "munmap",
                                                   "mremap",
                                                   "mremap result",
                                                   "brk",
                                                   "madvise",
                                                   "thread",
                                                   "process",
                                                   "stack",
                                                   "note",
                                                   "failed",
                                                   "low bits"};
  return kNames[static_cast<size_t>(call)];
}

// Whether the call, or the two halves of it, gives the program a block.
constexpr bool allocates(Call call) {
  switch (call) {
    case Call::kMalloc:
    case Call::kCalloc:
    case Call::kReallocDone:
    case Call::kAlignedAlloc:
    case Call::kPosixMemalign:
    case Call::kMemalign:
    case Call::kValloc:
    case Call::kPvalloc:
    case Call::kNew:
    case Call::kNewArray:
    case Call::kNewForm:
      return true;
    default:
      return false;
  }
}

// Whether the call takes the block at its pointer from the program. kRealloc does when it succeeds.
constexpr bool releases(Call call) {
  switch (call) {
    case Call::kFree:
    case Call::kFreeSized:
    case Call::kFreeAlignedSized:
    case Call::kDelete:
    case Call::kDeleteArray:
    case Call::kDeleteForm:
      return true;
    default:
      return false;
  }
}

}  // namespace tide::format
