#include "host/program.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include "host/error.h"

namespace tide::host {
namespace {

// What the kernel reads of a file to find out what it is (BINPRM_BUF_SIZE).
constexpr size_t kHeadBytes = 256;
// Where execvp(3) looks when PATH is not set.
constexpr std::string_view kUsualPath = "/bin:/usr/bin";

std::string read_head(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, kHeadBytes> head;
  file.read(head.data(), head.size());
  return {head.data(), static_cast<size_t>(file.gcount())};
}

// 0 when this user may execute the file, else the errno that says why not.
int execute_error(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return errno;
  if (S_ISDIR(info.st_mode)) return EISDIR;
  if (!S_ISREG(info.st_mode)) return EACCES;
  return eaccess(path.c_str(), X_OK) == 0 ? 0 : errno;
}

bool can_see(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

[[noreturn]] void throw_cannot_execute(const std::string& path, int error) {
  if (error == EISDIR) throw Error(fmt::format("'{}' is a directory", path), kExitCannotRun);
  if (error == EACCES && can_see(path)) {
    throw Error(
        fmt::format("'{}' is not executable; if it should be, try: chmod +x {}", path, path),
        kExitCannotRun);
  }
  throw Error(fmt::format("cannot run '{}': {}", path, std::strerror(error)), kExitCannotRun);
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  // exec's arguments are char* for historical reasons; it does not write to them.
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string find_program(const std::string& name) {
  if (name.empty()) throw Error("the program's name is empty", kExitNotFound);
  if (name.find('/') != std::string::npos) {
    const int error = execute_error(name);
    if (error == ENOENT || error == ENOTDIR) {
      throw Error(fmt::format("'{}' does not exist", name), kExitNotFound);
    }
    if (error != 0) throw_cannot_execute(name, error);
    return name;
  }

  const char* variable = std::getenv("PATH");
  std::string_view folders = variable != nullptr ? std::string_view(variable) : kUsualPath;
  std::string unusable;
  int unusable_error = 0;
  for (bool more = true; more;) {
    const size_t colon = folders.find(':');
    more = colon != std::string_view::npos;
    const std::string_view folder = folders.substr(0, colon);
    if (more) folders.remove_prefix(colon + 1);
    std::string path = fmt::format("{}/{}", folder.empty() ? "." : folder, name);
    const int error = execute_error(path);
    if (error == 0) return path;
    // Folders that this user may not look into hold no programs for them.
    if (unusable.empty() && error == EACCES && can_see(path)) {
      unusable = std::move(path);
      unusable_error = error;
    }
  }
  if (!unusable.empty()) throw_cannot_execute(unusable, unusable_error);
  throw Error(fmt::format("'{}' was not found in PATH", name), kExitNotFound);
}

std::optional<Shebang> read_shebang(const std::string& path) {
  const std::string head = read_head(path);
  std::string_view line(head);
  if (!line.starts_with("#!")) return std::nullopt;
  line = line.substr(2, std::min(line.find('\n'), line.size()) - 2);
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);

  const size_t end = std::min(line.find_first_of(" \t"), line.size());
  Shebang shebang{std::string(line.substr(0, end)), {}};
  line.remove_prefix(end);
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  shebang.argument = line;
  return shebang;
}

std::string program_behind_env(std::string_view argument) {
  // Options whose value is the next word.
  static constexpr std::string_view kWithValue[] = {"-u", "--unset", "-C", "--chdir"};
  bool skip = false;
  while (!argument.empty()) {
    const size_t end = std::min(argument.find_first_of(" \t"), argument.size());
    std::string_view word = argument.substr(0, end);
    argument.remove_prefix(std::min(end + 1, argument.size()));
    if (word.empty() || std::exchange(skip, false)) continue;
    // -S may be glued to the first word of what it splits.
    if (word.starts_with("-S")) word.remove_prefix(2);
    if (word.starts_with("--split-string=")) word.remove_prefix(std::strlen("--split-string="));
    if (word.empty()) continue;
    if (word.front() == '-') {
      skip = std::find(std::begin(kWithValue), std::end(kWithValue), word) != std::end(kWithValue);
    } else if (word.find('=') == std::string_view::npos) {
      return std::string(word);
    }
  }
  return {};
}

bool looks_like_text(const std::string& path) {
  const std::string head = read_head(path);
  if (head.starts_with('\x7f')) return false;  // ELF, however damaged
  const size_t line_end = std::min(head.find('\n'), head.size());
  return head.find('\0') >= line_end;
}

Environment::Environment() {
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    entries_.emplace_back(*entry);
  }
}

std::optional<std::string> Environment::get(std::string_view name) const {
  for (const std::string& entry : entries_) {
    if (entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

void Environment::unset(std::string_view name) {
  std::erase_if(entries_, [name](const std::string& entry) {
    return entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=';
  });
}

void Environment::set(std::string_view name, std::string_view value) {
  unset(name);
  // In front: where names may be written in more than one way, the first one counts.
  entries_.insert(entries_.begin(), fmt::format("{}={}", name, value));
}

void exec_program(const std::string& path, const std::vector<std::string>& arguments,
                  const Environment& environment) {
  const std::vector<char*> variables = pointers_to(environment.entries());
  execve(path.c_str(), pointers_to(arguments).data(), variables.data());
  if (errno == ENOEXEC && looks_like_text(path)) {
    // A script without `#!`, as execvp(3) would start it.
    std::vector<std::string> with_shell = {kShell, path};
    if (!arguments.empty()) {
      with_shell.insert(with_shell.end(), arguments.begin() + 1, arguments.end());
    }
    execve(kShell, pointers_to(with_shell).data(), variables.data());
  }
  throw Error(fmt::format("cannot run '{}': {}", path, std::strerror(errno)), kExitCannotRun);
}

}  // namespace tide::host
