// Ends and changes of the process: exit, exec, fork, spawn. What a forked child records is its own
// matter from its first event on.
#include "preload/carried.h"
#include "preload/entry.h"
#include "preload/sampling.h"
#include "probe/recorded_process.h"
#include "sys/process.h"

namespace probe = tide::probe;
namespace format = tide::format;
namespace sys = tide::sys;
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
  end_sampling();
  if (probe::is_own_process()) note_end(TIDE_FRAME, 0, "unknown");
}

// What fork() has returned.
pid_t note_fork(const void* frame, pid_t child) {
  if (child > 0) {
    remark(frame, [=](ThreadStream& s) {
      probe::record_process(s, format::ProcessNote::kFork, static_cast<uint64_t>(child), {});
    });
  }
  if (child == 0) {
    g_has_ended = false;
    repair_sampling_in_child();
  }
  return child;
}

template <class Function>
[[noreturn]] void pass_on(Function* function, int status) {
  function(status);
  __builtin_unreachable();
}

using Fork = pid_t();
using Exit = void(int);
using Exec = int(const char*, char* const*, char* const*);
using ExecDescriptor = int(int, char* const*, char* const*);
using ExecAt = int(int, const char*, char* const*, char* const*, int);
using System = int(const char*);
using Open = FILE*(const char*, const char*);
using Spawn = int(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*,
                  char* const*, char* const*);

// A new process that runs `path` from its beginning: what it does is in its own streams.
int spawn(const void* frame, Spawn* next, pid_t* child, const char* path,
          const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes,
          char* const* arguments, char* const* environment) {
  TIDE_CARRY(environment);
  pid_t number = 0;
  const int error = next(&number, path, actions, attributes, arguments, environment);
  if (error != 0) return error;
  if (child != nullptr) *child = number;
  // A child of vfork may do this, too.
  if (!probe::is_own_process()) return 0;
  remark(frame, [=](ThreadStream& s) {
    probe::record_process(s, format::ProcessNote::kSpawn, static_cast<uint64_t>(number),
                          path == nullptr ? "" : path);
  });
  return 0;
}

// The C library starts the shell by a function of its own, and nobody says which number it has. It
// does so for system(nullptr), too, to learn whether there is one.
void note_shell(const void* frame) {
  if (!probe::is_own_process()) return;
  remark(frame, [](ThreadStream& s) {
    probe::record_process(s, format::ProcessNote::kSpawn, 0, "/bin/sh");
  });
}

// How many arguments there are, without the null behind them; `first` is one of them.
size_t count_arguments(const char* first, va_list rest) {
  size_t count = 0;
  for (const char* at = first; at != nullptr; at = va_arg(rest, const char*)) ++count;
  return count;
}

// The arguments as an array, with the null; `rest` stands behind that afterwards.
void list_arguments(char** list, size_t count, const char* first, va_list* rest) {
  list[0] = const_cast<char*>(first);
  for (size_t i = 1; i <= count; ++i) list[i] = va_arg(*rest, char*);
}

// Defines `list`, an array on the stack, from the arguments from `first` on, and `rest`.
#define TIDE_LIST_ARGUMENTS(first)                                                        \
  va_list rest;                                                                           \
  va_start(rest, first);                                                                  \
  const size_t count = count_arguments(first, rest);                                      \
  va_end(rest);                                                                           \
  auto** const list = static_cast<char**>(__builtin_alloca((count + 1) * sizeof(char*))); \
  va_start(rest, first);                                                                  \
  list_arguments(list, count, first, &rest)

}  // namespace

extern "C" {

TIDE_EXPORT void exit(int status) noexcept {
  static Exit* next = nullptr;
  end_sampling();
  if (probe::is_own_process()) note_end(TIDE_FRAME, static_cast<uint64_t>(status), {});
  pass_on(next_function(next, "exit"), status);
}

TIDE_EXPORT void _exit(int status) {
  static Exit* next = nullptr;
  end_sampling();
  if (probe::is_own_process()) note_end(TIDE_FRAME, static_cast<uint64_t>(status), {});
  pass_on(next_function(next, "_exit"), status);
}

TIDE_EXPORT void _Exit(int status) noexcept {
  static Exit* next = nullptr;
  end_sampling();
  if (probe::is_own_process()) note_end(TIDE_FRAME, static_cast<uint64_t>(status), {});
  pass_on(next_function(next, "_Exit"), status);
}

TIDE_EXPORT int execve(const char* path, char* const* arguments,
                       char* const* environment) noexcept {
  static Exec* next = nullptr;
  note_exec(TIDE_FRAME, path);
  TIDE_CARRY(environment);
  return next_function(next, "execve")(path, arguments, environment);
}

TIDE_EXPORT int execv(const char* path, char* const* arguments) noexcept {
  static Exec* next = nullptr;
  note_exec(TIDE_FRAME, path);
  char* const* environment = sys::environment_to_hand_on();
  TIDE_CARRY(environment);
  return next_function(next, "execve")(path, arguments, environment);
}

TIDE_EXPORT int execvp(const char* file, char* const* arguments) noexcept {
  static Exec* next = nullptr;
  note_exec(TIDE_FRAME, file);
  char* const* environment = sys::environment_to_hand_on();
  TIDE_CARRY(environment);
  return next_function(next, "execvpe")(file, arguments, environment);
}

TIDE_EXPORT int execvpe(const char* file, char* const* arguments,
                        char* const* environment) noexcept {
  static Exec* next = nullptr;
  note_exec(TIDE_FRAME, file);
  TIDE_CARRY(environment);
  return next_function(next, "execvpe")(file, arguments, environment);
}

TIDE_EXPORT int execl(const char* path, const char* first, ...) noexcept {
  static Exec* next = nullptr;
  TIDE_LIST_ARGUMENTS(first);
  va_end(rest);
  note_exec(TIDE_FRAME, path);
  char* const* environment = sys::environment_to_hand_on();
  TIDE_CARRY(environment);
  return next_function(next, "execve")(path, list, environment);
}

TIDE_EXPORT int execlp(const char* file, const char* first, ...) noexcept {
  static Exec* next = nullptr;
  TIDE_LIST_ARGUMENTS(first);
  va_end(rest);
  note_exec(TIDE_FRAME, file);
  char* const* environment = sys::environment_to_hand_on();
  TIDE_CARRY(environment);
  return next_function(next, "execvpe")(file, list, environment);
}

TIDE_EXPORT int execle(const char* path, const char* first, ...) noexcept {
  static Exec* next = nullptr;
  TIDE_LIST_ARGUMENTS(first);
  char* const* environment = va_arg(rest, char* const*);
  va_end(rest);
  note_exec(TIDE_FRAME, path);
  TIDE_CARRY(environment);
  return next_function(next, "execve")(path, list, environment);
}

TIDE_EXPORT int posix_spawn(pid_t* child, const char* path,
                            const posix_spawn_file_actions_t* actions,
                            const posix_spawnattr_t* attributes, char* const* arguments,
                            char* const* environment) {
  static Spawn* next = nullptr;
  return spawn(TIDE_FRAME, next_function(next, "posix_spawn"), child, path, actions, attributes,
               arguments, environment);
}

TIDE_EXPORT int posix_spawnp(pid_t* child, const char* file,
                             const posix_spawn_file_actions_t* actions,
                             const posix_spawnattr_t* attributes, char* const* arguments,
                             char* const* environment) {
  static Spawn* next = nullptr;
  return spawn(TIDE_FRAME, next_function(next, "posix_spawnp"), child, file, actions, attributes,
               arguments, environment);
}

TIDE_EXPORT int system(const char* command) {
  static System* next = nullptr;
  note_shell(TIDE_FRAME);
  return next_function(next, "system")(command);
}

TIDE_EXPORT FILE* popen(const char* command, const char* mode) {
  static Open* next = nullptr;
  FILE* const stream = next_function(next, "popen")(command, mode);
  if (stream != nullptr) note_shell(TIDE_FRAME);
  return stream;
}

TIDE_EXPORT int fexecve(int descriptor, char* const* arguments, char* const* environment) noexcept {
  static ExecDescriptor* next = nullptr;
  note_exec(TIDE_FRAME, "");
  TIDE_CARRY(environment);
  return next_function(next, "fexecve")(descriptor, arguments, environment);
}

TIDE_EXPORT int execveat(int folder, const char* path, char* const* arguments,
                         char* const* environment, int flags) noexcept {
  static ExecAt* next = nullptr;
  note_exec(TIDE_FRAME, path);
  TIDE_CARRY(environment);
  return next_function(next, "execveat")(folder, path, arguments, environment, flags);
}

TIDE_EXPORT pid_t fork() noexcept {
  static Fork* next = nullptr;
  return note_fork(TIDE_FRAME, next_function(next, "fork")());
}

// The C library's fork() without the handlers, from 2.34 on.
TIDE_EXPORT pid_t _Fork() noexcept {
  static Fork* next = nullptr;
  return note_fork(TIDE_FRAME, next_function(next, "_Fork")());
}

}  // extern "C"
