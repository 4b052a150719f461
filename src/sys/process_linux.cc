#include "sys/clock.h"
#include "sys/errno_keeper.h"
#include "sys/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bit>
#include <cerrno>
#include <cstdint>

#include "base/starts_with.h"

extern "C" {
extern char** environ;
// Where the stack began: the argument count, the arguments, null, the environment, null. Exported
// by the dynamic linker, which calls malloc before it has run the C library's own initialiser.
extern void* __libc_stack_end __attribute__((weak));
}

namespace tide::sys {

namespace {

constexpr unsigned kMostCpus = 4096;

const char* const* environment_on_stack() {
  if (&__libc_stack_end == nullptr || __libc_stack_end == nullptr) return nullptr;
  const auto* const words = static_cast<const intptr_t*>(__libc_stack_end);
  const intptr_t argument_count = words[0];
  // The dynamic linker, run as a command, shifts things; then there is no telling.
  if (argument_count < 0 || words[argument_count + 1] != 0) return nullptr;
  return reinterpret_cast<const char* const*>(words + argument_count + 2);
}

}  // namespace

const char* const* environment() { return environ != nullptr ? environ : environment_on_stack(); }

char* const* environment_to_hand_on() { return environ; }

std::string_view environment_value(std::string_view name) {
  const char* const* variable = environment();
  for (; variable != nullptr && *variable != nullptr; ++variable) {
    std::string_view text = *variable;
    if (base::starts_with(text, name) && text.size() > name.size() && text[name.size()] == '=') {
      text.remove_prefix(name.size() + 1);
      return text;
    }
  }
  return {};
}

bool is_secure_execution() {
  const ErrnoKeeper keeper;
  return getauxval(AT_SECURE) != 0;
}

unsigned cpu_count() {
  // By system call: the C library's function takes sets of one size only.
  uint64_t set[kMostCpus / 64] = {};
  const int kept = errno;
  const long bytes = syscall(SYS_sched_getaffinity, 0, sizeof set, set);
  errno = kept;
  if (bytes < 0) return kMostCpus;  // more than fit
  unsigned cpus = 0;
  for (const uint64_t word : set) cpus += static_cast<unsigned>(std::popcount(word));
  return cpus == 0 ? 1 : cpus;
}

int process_id() { return getpid(); }

int parent_process_id() { return getppid(); }

uint64_t pid_namespace() {
  const ErrnoKeeper keeper;
  struct stat status {};
  return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

bool program_path(base::TextWriter& path) {
  const ErrnoKeeper keeper;
  char buffer[4096];
  const ssize_t length = readlink("/proc/self/exe", buffer, sizeof buffer);
  if (length <= 0) return false;
  path.text({buffer, static_cast<size_t>(length)});
  return true;
}

int open_for_append(const char* path) {
  const ErrnoKeeper keeper;
  return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
}

int open_anew(const char* path) {
  const ErrnoKeeper keeper;
  return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
}

bool was_written_since(const char* path, uint64_t monotonic_ns_then) {
  const ErrnoKeeper keeper;
  struct stat file;
  if (stat(path, &file) != 0 || !S_ISREG(file.st_mode)) return false;
  const uint64_t written = static_cast<uint64_t>(file.st_mtim.tv_sec) * 1'000'000'000 +
                           static_cast<uint64_t>(file.st_mtim.tv_nsec);
  return written > real_ns() - (monotonic_ns() - monotonic_ns_then);
}

void close_descriptor(int descriptor) {
  const ErrnoKeeper keeper;
  close(descriptor);
}

void expand_path(const char* pattern, base::TextWriter& path) {
  for (; *pattern != '\0'; ++pattern) {
    if (pattern[0] == '%' && pattern[1] == 'p') {
      path.decimal(static_cast<uint64_t>(process_id()));
      ++pattern;
    } else {
      path.put(*pattern);
    }
  }
  path.put('\0');
}

int duplicate_high(int descriptor) {
  constexpr int kLowest = 200;
  const ErrnoKeeper keeper;
  const int high = fcntl(descriptor, F_DUPFD_CLOEXEC, kLowest);
  return high >= 0 ? high : fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
}

uint64_t file_identity(int descriptor) {
  const ErrnoKeeper keeper;
  struct stat file;
  if (fstat(descriptor, &file) != 0) return 0;
  return (static_cast<uint64_t>(file.st_dev) << 40) ^ static_cast<uint64_t>(file.st_ino) ^ 1;
}

bool write_all(int descriptor, std::string_view text) {
  const ErrnoKeeper keeper;
  while (!text.empty()) {
    // Not write(): that is a cancellation point, which none of our callers is.
    const ssize_t written = syscall(SYS_write, descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace tide::sys
