#include "host/preload.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <vector>

#include "host/error.h"
#include "host/program.h"

namespace tide::host {
namespace {

namespace fs = std::filesystem;

// Behind a library's name; all there is where only the run-time half of a package is installed.
constexpr std::string_view kVersionSuffix = ".0";
// The kernel follows so many interpreters of interpreters, then fails with ELOOP.
constexpr int kMostInterpreters = 5;

[[noreturn]] void refuse(const std::string& message) { throw Error(message, kExitCannotRun); }

// True for the dynamic loader of the GNU C library on any machine: ld-linux-x86-64.so.2,
// ld-linux.so.2, ld64.so.2 and so on, whatever folder it is in.
bool is_glibc_loader_name(const fs::path& path) {
  static constexpr std::array<std::string_view, 3> kOthers = {"ld.so.1", "ld64.so.1", "ld64.so.2"};
  const std::string name = path.filename().string();
  return name.starts_with("ld-linux") ||
         std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end();
}

// The name may also be a link (ld-lsb-x86-64.so.3).
bool is_glibc_loader(const fs::path& path) {
  std::error_code error;
  return is_glibc_loader_name(path) || is_glibc_loader_name(fs::canonical(path, error));
}

// What makes the kernel set AT_SECURE, in which mode the loader ignores LD_PRELOAD. Refused even
// for a user for whom it would change nothing (root, mostly): the answer then depends on the file
// only.
void require_no_privileges(const std::string& path) {
  constexpr std::string_view kAdvice =
      "the loader ignores LD_PRELOAD there; run a copy without it, or if it starts another program "
      "(sudo, su) put 'tide run' behind it";
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return;
  const auto refuse_as = [&](std::string_view what) {
    refuse(fmt::format("'{}' {}: {}", path, what, kAdvice));
  };
  if ((info.st_mode & S_ISUID) != 0) refuse_as("is set-uid");
  // Without the group's execute bit, set-gid means mandatory locking.
  if ((info.st_mode & S_ISGID) != 0 && (info.st_mode & S_IXGRP) != 0) refuse_as("is set-gid");
  if (getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) {
    refuse_as("has file capabilities");
  }
}

void require_preloadable_elf(const std::string& path, const ElfSummary& program,
                             const PreloadLibrary& library) {
  if (!program.same_machine(library.elf)) {
    refuse(fmt::format(
        "'{}' is a {} program and '{}' is for {}; give a library for its machine with --library",
        path, program.machine_name(), library.path, library.elf.machine_name()));
  }
  if (!program.is_executable && !program.is_shared) {
    refuse(fmt::format("'{}' is an object or core file, not a program", path));
  }
  if (program.interpreter.empty()) {
    // The loader itself may be given a program to start, and it obeys LD_PRELOAD.
    if (is_glibc_loader(path)) return;
    if (program.is_shared && !program.has_entry) {
      refuse(fmt::format("'{}' is a shared library, not a program", path));
    }
    refuse(
        fmt::format("'{}' is statically linked, so nothing can be loaded into it; "
                    "link it with libtide.a, or use a dynamically linked build of it",
                    path));
  }
  if (!is_glibc_loader(program.interpreter)) {
    refuse(
        fmt::format("'{}' uses the loader '{}', which is not the GNU C library's; "
                    "use a build of the program for glibc",
                    path, program.interpreter));
  }
  if (access(program.interpreter.c_str(), X_OK) != 0) {
    refuse(
        fmt::format("'{}' needs the loader '{}', which is not there; install the C library "
                    "that it was built for",
                    path, program.interpreter));
  }
}

// Prefixes what is wrong with an interpreter by the script that asked for it.
std::string find_interpreter(const std::string& script, const std::string& name) {
  try {
    return find_program(name);
  } catch (const Error& error) {
    refuse(fmt::format("the interpreter in the first line of '{}': {}", script, error.what()));
  }
}

// The program that starts when the script does. `env` is looked through; it is a program for all
// users, so what can be wrong is wrong with the one behind it.
std::string interpreter_of(const std::string& script) {
  const std::optional<Shebang> shebang = read_shebang(script);
  if (!shebang.has_value()) {
    if (looks_like_text(script)) return kShell;
    refuse(
        fmt::format("'{}' is neither an ELF program nor a script; "
                    "start it by the program that runs it: tide run -- INTERPRETER {}",
                    script, script));
  }
  if (shebang->interpreter.empty()) {
    refuse(fmt::format("the first line of '{}' names no interpreter after '#!'", script));
  }
  std::string interpreter = shebang->interpreter;
  if (interpreter.find('/') == std::string::npos) interpreter.insert(0, "./");
  interpreter = find_interpreter(script, interpreter);
  if (fs::path(interpreter).filename() == "env") {
    const std::string name = program_behind_env(shebang->argument);
    if (!name.empty()) return find_interpreter(script, name);
  }
  return interpreter;
}

void require_preloadable_at_depth(const std::string& path, const PreloadLibrary& library,
                                  int depth) {
  const bool is_readable = eaccess(path.c_str(), R_OK) == 0;
  const auto elf = is_readable ? read_elf_summary(path) : std::nullopt;
  // A set-uid bit on a script means nothing to the kernel.
  if (elf.has_value() || !is_readable) require_no_privileges(path);
  // A program may be executable and not readable; nothing more can be said about it then.
  if (!is_readable) return;
  if (elf.has_value()) {
    require_preloadable_elf(path, *elf, library);
    return;
  }
  if (depth == kMostInterpreters) {
    refuse(fmt::format("too many interpreters of interpreters, the last one is '{}'", path));
  }
  const std::string interpreter = interpreter_of(path);
  try {
    require_preloadable_at_depth(interpreter, library, depth + 1);
  } catch (const Error& error) {
    if (depth != 0) throw;
    refuse(fmt::format("'{}' is a script, and its interpreter {}", path, error.what()));
  }
}

bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || fs::equivalent(a, b, error);
}

}  // namespace

std::string find_own_library(std::string_view name) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) {
    throw Error(
        fmt::format("cannot read /proc/self/exe to find {}; give its path with --library", name),
        kExitRunFailed);
  }
  const fs::path bin = self.parent_path();
  const fs::path root = bin.parent_path();
  std::vector<fs::path> folders = {root / "lib", root / "lib64"};
  // Debian keeps libraries in lib/x86_64-linux-gnu and the like.
  std::vector<fs::path> multiarch;
  for (const auto& entry : fs::directory_iterator(root / "lib", error)) {
    const bool is_triplet = entry.path().filename().string().find("-linux-") != std::string::npos;
    if (is_triplet && entry.is_directory(error)) multiarch.push_back(entry.path());
  }
  std::sort(multiarch.begin(), multiarch.end());
  folders.insert(folders.end(), multiarch.begin(), multiarch.end());
  folders.push_back(bin);

  const auto own = read_elf_summary(self.string());
  for (const fs::path& folder : folders) {
    for (const std::string_view suffix : {std::string_view(), kVersionSuffix}) {
      const fs::path candidate = folder / fmt::format("{}{}", name, suffix);
      if (!fs::is_regular_file(candidate, error)) continue;
      const auto elf = read_elf_summary(candidate.string());
      // With more than one multiarch folder: the one for our own machine.
      if (elf.has_value() && own.has_value() && elf->same_machine(*own)) return candidate.string();
    }
  }
  throw Error(fmt::format("no {} in '{}' or '{}'; build or install it, or give its path with "
                          "--library",
                          name, (root / "lib").string(), bin.string()),
              kExitRunFailed);
}

PreloadLibrary open_preload_library(const std::string& path) {
  const std::string absolute = fs::absolute(path).lexically_normal().string();
  const auto fail = [&](std::string_view why) {
    throw Error(fmt::format("the library '{}' {}", absolute, why), kExitRunFailed);
  };
  std::error_code error;
  if (!fs::exists(absolute, error)) fail("does not exist");
  if (!fs::is_regular_file(absolute, error)) fail("is not a file");
  if (access(absolute.c_str(), R_OK) != 0) fail("cannot be read by this user");
  if (absolute.find_first_of(": \t\n") != std::string::npos) {
    fail(
        "has a space or a colon in its path, which LD_PRELOAD cannot hold; move or link it "
        "elsewhere");
  }
  const auto elf = read_elf_summary(absolute);
  if (!elf.has_value() || !elf->is_shared) fail("is not a shared library");
  return {absolute, *elf};
}

void require_preloadable(const std::string& path, const PreloadLibrary& library) {
  require_preloadable_at_depth(path, library, 0);
}

std::string preload_list(const std::string& library, std::string_view existing) {
  std::vector<std::string> entries = {library};
  // The loader splits at both.
  constexpr std::string_view kSeparators = ": ";
  while (!existing.empty()) {
    const size_t end = std::min(existing.find_first_of(kSeparators), existing.size());
    std::string entry(existing.substr(0, end));
    existing.remove_prefix(std::min(end + 1, existing.size()));
    const bool is_new = !entry.empty() &&
                        std::none_of(entries.begin(), entries.end(),
                                     [&](const std::string& e) { return is_same_file(e, entry); });
    if (is_new) entries.push_back(std::move(entry));
  }
  const auto recorder = std::find_if(entries.begin(), entries.end(), [](const std::string& entry) {
    return fs::path(entry).filename().string().starts_with("libtide-trace.so");
  });
  if (recorder != entries.end()) std::rotate(entries.begin(), recorder, recorder + 1);
  return fmt::format("{}", fmt::join(entries, ":"));
}

}  // namespace tide::host
