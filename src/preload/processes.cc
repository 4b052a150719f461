// Ends and changes of the process: exit, exec, fork. What a forked child records is its own matter
// from its first event on.
#include "preload/entry.h"
#include "probe/recorded_process.h"

namespace probe = tide::probe;
namespace format = tide::format;
using namespace tide::preload;

namespace {

// Whether the trace has been told of the end; exit handlers run after that, and allocate.
bool g_has_ended = false;

void note_end(const void* frame, uint64_t status, std::string_view text) {
  if (__atomic_exchange_n(&g_has_ended, true, __ATOMIC_RELAXED)) return;
  remark(frame, [=](ThreadStream& s) {
    probe::record_modules(s);
    probe::all_blocks_go(s);
    probe::record_process(s, format::ProcessNote::kExit, status, text);
  });
}

void note_exec(const void* frame, const char* path) {
  // In a child of vfork this is still its parent's memory.
  if (path == nullptr || !probe::is_own_process()) return;
  remark(frame, [=](ThreadStream& s) {
    probe::record_modules(s);
    probe::all_blocks_go(s);
    probe::record_process(s, format::ProcessNote::kExec, 0, path);
  });
}

// A program that ends by returning from main gives its status to nobody but the C library.
[[gnu::destructor]] void at_end() {
  if (probe::is_own_process()) note_end(TIDE_FRAME, 0, "unknown");
}

template <class Function>
[[noreturn]] void pass_on(Function* function, int status) {
  function(status);
  __builtin_unreachable();
}

using Exit = void(int);
using Exec = int(const char*, char* const*, char* const*);
using ExecOwn = int(const char*, char* const*);
using ExecDescriptor = int(int, char* const*, char* const*);
using ExecAt = int(int, const char*, char* const*, char* const*, int);

}  // namespace

extern "C" {

TIDE_EXPORT void exit(int status) noexcept {
  static Exit* next = nullptr;
  if (probe::is_own_process()) note_end(TIDE_FRAME, static_cast<uint64_t>(status), {});
  pass_on(next_function(next, "exit"), status);
}

TIDE_EXPORT void _exit(int status) {
  static Exit* next = nullptr;
  if (probe::is_own_process()) note_end(TIDE_FRAME, static_cast<uint64_t>(status), {});
  pass_on(next_function(next, "_exit"), status);
}

TIDE_EXPORT void _Exit(int status) noexcept {
  static Exit* next = nullptr;
  if (probe::is_own_process()) note_end(TIDE_FRAME, static_cast<uint64_t>(status), {});
  pass_on(next_function(next, "_Exit"), status);
}

TIDE_EXPORT int execve(const char* path, char* const* arguments,
                       char* const* environment) noexcept {
  static Exec* next = nullptr;
  note_exec(TIDE_FRAME, path);
  return next_function(next, "execve")(path, arguments, environment);
}

TIDE_EXPORT int execv(const char* path, char* const* arguments) noexcept {
  static ExecOwn* next = nullptr;
  note_exec(TIDE_FRAME, path);
  return next_function(next, "execv")(path, arguments);
}

TIDE_EXPORT int execvp(const char* file, char* const* arguments) noexcept {
  static ExecOwn* next = nullptr;
  note_exec(TIDE_FRAME, file);
  return next_function(next, "execvp")(file, arguments);
}

TIDE_EXPORT int execvpe(const char* file, char* const* arguments,
                        char* const* environment) noexcept {
  static Exec* next = nullptr;
  note_exec(TIDE_FRAME, file);
  return next_function(next, "execvpe")(file, arguments, environment);
}

TIDE_EXPORT int fexecve(int descriptor, char* const* arguments, char* const* environment) noexcept {
  static ExecDescriptor* next = nullptr;
  note_exec(TIDE_FRAME, "");
  return next_function(next, "fexecve")(descriptor, arguments, environment);
}

TIDE_EXPORT int execveat(int folder, const char* path, char* const* arguments,
                         char* const* environment, int flags) noexcept {
  static ExecAt* next = nullptr;
  note_exec(TIDE_FRAME, path);
  return next_function(next, "execveat")(folder, path, arguments, environment, flags);
}

TIDE_EXPORT pid_t fork() noexcept {
  using Fork = pid_t();
  static Fork* next = nullptr;
  const pid_t child = next_function(next, "fork")();
  if (child > 0) {
    remark(TIDE_FRAME, [=](ThreadStream& s) {
      probe::record_process(s, format::ProcessNote::kFork, static_cast<uint64_t>(child), {});
    });
  }
  if (child == 0) g_has_ended = false;
  return child;
}

}  // extern "C"
