#include <dlfcn.h>
#include <sys/auxv.h>
#include <unwind.h>

#include "sys/errno_keeper.h"
#include "sys/stack.h"

namespace tide::sys {

namespace {

extern "C" const char __ehdr_start[] __attribute__((visibility("hidden")));
extern "C" const char _end[] __attribute__((visibility("hidden")));

struct Frames {
  uintptr_t* frames;
  size_t most;
  size_t count;
};

// Our own calls are of no interest; in a static program nothing tells them from the program's.
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
  if (frames.count != 0 || !is_ours(address)) frames.frames[frames.count++] = address;
  return _URC_NO_REASON;
}

}  // namespace

size_t capture_stack(uintptr_t* frames, size_t most) {
  const ErrnoKeeper keeper;
  Frames found{frames, most, 0};
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
