#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>
#include <unwind.h>

#include <string_view>

#include "base/starts_with.h"
#include "sys/call_frame.h"
#include "sys/errno_keeper.h"
#include "sys/frames.h"
#include "sys/stack.h"
#include "sys/thread.h"

namespace tide::sys {

namespace {

extern "C" const char __ehdr_start[] __attribute__((visibility("hidden")));
extern "C" const char _end[] __attribute__((visibility("hidden")));

struct Frames {
  uintptr_t* frames;
  size_t most;
  size_t count;
  uintptr_t outside;
};

// Our own calls are of no interest; in a static program no address tells them from the program's.
bool is_ours(uintptr_t address) {
  static const bool is_library = [] {
    const uintptr_t program = getauxval(AT_PHDR);
    return program < reinterpret_cast<uintptr_t>(__ehdr_start) ||
           program >= reinterpret_cast<uintptr_t>(_end);
  }();
  return is_library && address >= reinterpret_cast<uintptr_t>(__ehdr_start) &&
         address < reinterpret_cast<uintptr_t>(_end);
}

_Unwind_Reason_Code take_frame(_Unwind_Context* context, void* argument) {
  auto& frames = *static_cast<Frames*>(argument);
  const uintptr_t address = _Unwind_GetIP(context);
  if (address == 0 || frames.count == frames.most) return _URC_END_OF_STACK;
  if (_Unwind_GetCFA(context) < frames.outside) return _URC_NO_REASON;
  if (frames.count != 0 || !is_ours(address)) frames.frames[frames.count++] = address;
  return _URC_NO_REASON;
}

}  // namespace

#if defined(__x86_64__) && !defined(__ILP32__) && defined(DLFO_EH_SEGMENT_TYPE)

namespace {

// Most that lies above the first frame of the program's own: the libraries' frames, and above a
// thread's the part of its variables that every library may have some of.
constexpr uintptr_t kStartOfProgram = 512;
constexpr uintptr_t kStartOfThread = 4096;

// Whether the library whose code goes on at `address` is one that starts threads and programs.
bool is_in_starting_library(uintptr_t address) {
  dl_find_object found;
  if (_dl_find_object(reinterpret_cast<void*>(address), &found) != 0) return false;
  std::string_view file = found.dlfo_link_map->l_name;
  file.remove_prefix(file.rfind('/') + 1);
  return base::starts_with(file, "libc.so") || base::starts_with(file, "libstdc++.so");
}

// By the tables alone, so that the unwinder's code need not be resident for it. 0: something that
// only the unwinder knows.
TIDE_NOINLINE TIDE_READS_ANY_STACK size_t walk_to_start(uintptr_t* frames, size_t most,
                                                        StackBounds bounds, uintptr_t start_bytes) {
  FramePlace at = callers_place();
  size_t count = 0;
  for (;;) {
    if (count != 0 || !is_ours(at.address)) frames[count++] = at.address;
    if (count == most) return count;
    const CallFrame frame = read_call_frame(at.address);
    if (frame.kind == FrameKind::kOutermost) return count;
    if (frame.kind == FrameKind::kUnknown || !follow(frame, at, bounds)) return 0;
    at.address = *reinterpret_cast<const uintptr_t*>(at.stack - kStackWord);
    if (count == 0 || bounds.high - at.stack > start_bytes) continue;
    if (!is_in_starting_library(at.address)) continue;
    frames[count++] = at.address;
    return count;
  }
}

}  // namespace

size_t capture_stack_to_start(uintptr_t* frames, size_t most) {
  if (!may_unwind()) return 0;
  const ErrnoKeeper keeper;
  const bool is_main = is_main_thread(lasting_thread_number());
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const StackBounds bounds = near_stack_bounds(here, is_main);
  const uintptr_t start_bytes = is_main ? kStartOfProgram : kStartOfThread;
  const size_t count = bounds.high == 0 ? 0 : walk_to_start(frames, most, bounds, start_bytes);
  return count != 0 ? count : capture_stack(frames, most);
}

#else

size_t capture_stack_to_start(uintptr_t* frames, size_t most) {
  return capture_stack(frames, most);
}

#endif

size_t capture_stack(uintptr_t* frames, size_t most, uintptr_t outside) {
  if (!may_unwind()) return 0;
  const ErrnoKeeper keeper;
  Frames found{frames, most, 0, outside};
  _Unwind_Backtrace(take_frame, &found);
  return found.count;
}

size_t copy_without_ours(const uintptr_t* from, size_t count, uintptr_t* frames, size_t most) {
  size_t at = 0;
  while (at < count && is_ours(from[at])) ++at;
  size_t copied = 0;
  while (at < count && copied < most) frames[copied++] = from[at++];
  return copied;
}

void describe_code(uintptr_t address, base::TextWriter& out) {
  Dl_info info;
  // A return address may lie behind its function's end, when the call is the last instruction.
  if (dladdr(reinterpret_cast<void*>(address - 1), &info) == 0 || info.dli_fname == nullptr) {
    out.text("?");
    return;
  }
  if (info.dli_sname != nullptr) {
    out.text(info.dli_sname).put('+').hex(address - reinterpret_cast<uintptr_t>(info.dli_saddr));
    out.put(' ');
  }
  out.put('(').text(info.dli_fname).put('+');
  out.hex(address - reinterpret_cast<uintptr_t>(info.dli_fbase)).put(')');
}

}  // namespace tide::sys
