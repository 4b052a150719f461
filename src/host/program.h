// Finding and starting a program the way the shells do: PATH, `#!` lines, the environment block.
//
// Whether Tide may be loaded into the program is not asked here: see preload.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tide::host {

// The file that `name` means: itself when there is a slash in it, else the first executable file of
// that name in PATH. Throws Error with kExitNotFound, or kExitCannotRun when a file is there that
// this user cannot execute.
std::string find_program(const std::string& name);

// The first line of a script.
struct Shebang {
  std::string interpreter;
  std::string argument;  // all that follows, as the kernel passes it: one argument or empty
};

// Nothing when the file does not begin with `#!`, or cannot be read.
std::optional<Shebang> read_shebang(const std::string& path);

// What `env` runs when a `#!` line gives it `argument` ("python3", "-S awk -f"): the program's
// name. Empty when there is none.
std::string program_behind_env(std::string_view argument);

// What a script without `#!` is run by.
inline constexpr const char* kShell = "/bin/sh";

// True when the file's first bytes look like text: what kShell is tried on when the kernel does not
// know the format.
bool looks_like_text(const std::string& path);

// A copy of this process's environment, to be changed and given to a program.
class Environment {
 public:
  Environment();

  // Nothing when the variable is not set; the first one of that name, as getenv(3) does.
  std::optional<std::string> get(std::string_view name) const;
  void set(std::string_view name, std::string_view value);
  void unset(std::string_view name);

  // "NAME=VALUE" each.
  const std::vector<std::string>& entries() const { return entries_; }

 private:
  std::vector<std::string> entries_;
};

// Replaces this process by the program; returns only by throwing Error (kExitCannotRun).
[[noreturn]] void exec_program(const std::string& path, const std::vector<std::string>& arguments,
                               const Environment& environment);

}  // namespace tide::host
