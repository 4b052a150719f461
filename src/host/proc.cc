#include "host/proc.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "host/terminal.h"

namespace tide::host {
namespace {

namespace fs = std::filesystem;

// The names in a folder that are numbers.
std::vector<int> numbers_in(const std::string& folder) {
  std::vector<int> numbers;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    int number = 0;
    const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (fault == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

struct FileEnd {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// False with errno when it cannot be read. Files of /proc tell no size.
bool read_file(const std::string& path, std::string& text) {
  const std::unique_ptr<std::FILE, FileEnd> file(std::fopen(path.c_str(), "re"));
  if (file == nullptr) return false;
  char buffer[65536];
  errno = 0;
  for (;;) {
    const size_t count = std::fread(buffer, 1, sizeof buffer, file.get());
    text.append(buffer, count);
    if (count < sizeof buffer) break;
  }
  return std::ferror(file.get()) == 0;
}

// In the text of a status file "NSpid: 4711 12 1": the number here, and in each namespace on the
// way to the thread's own. `here`: where there is no such line.
int last_number(const std::string& status, int here) {
  constexpr std::string_view kField = "\nNSpid:";
  const size_t at = status.find(kField);
  if (at == std::string::npos) return here;
  const size_t end = status.find('\n', at + 1);
  const size_t last = status.find_last_of(" \t", end);
  int number = here;
  std::from_chars(status.data() + last + 1, status.data() + std::min(end, status.size()), number);
  return number;
}

}  // namespace

std::vector<int> Proc::processes() const { return numbers_in(root_); }

std::vector<int> Proc::threads(int pid) const { return numbers_in(path(pid, "task")); }

std::string Proc::path(int pid, std::string_view name) const {
  return fmt::format("{}/{}/{}", root_, pid, name);
}

uint64_t Proc::pid_namespace(int pid) const {
  struct stat status {};
  return stat(path(pid, "ns/pid").c_str(), &status) == 0 ? status.st_ino : 0;
}

int Proc::number_inside(int pid) const {
  return last_number(try_read(pid, "status").value_or(""), pid);
}

int Proc::thread_number_inside(int pid, int thread) const {
  return last_number(try_read(pid, fmt::format("task/{}/status", thread)).value_or(""), thread);
}

int Proc::find(uint64_t pid_namespace, int number_inside) const {
  for (const int pid : processes()) {
    if (this->pid_namespace(pid) == pid_namespace && this->number_inside(pid) == number_inside) {
      return pid;
    }
  }
  return 0;
}

void Proc::require(int pid) const {
  struct stat status {};
  if (stat(fmt::format("{}/{}", root_, pid).c_str(), &status) != 0) {
    throw Error(fmt::format("there is no process {}", pid));
  }
}

void Proc::fail_not_permitted(int pid) const {
  struct stat status {};
  std::string why = "the kernel does not permit it";
  std::string scope;
  if (stat(fmt::format("{}/{}", root_, pid).c_str(), &status) == 0 && status.st_uid != geteuid()) {
    why = "it belongs to another user";
  } else if (read_file(root_ + "/sys/kernel/yama/ptrace_scope", scope) && scope[0] != '0') {
    why = fmt::format("ptrace_scope is {}", scope.substr(0, scope.find('\n')));
  }
  throw NotPermitted(fmt::format("process {} may not be read: {}{}", pid, why,
                                 geteuid() == 0 ? "" : "; run the command with sudo"));
}

std::string Proc::read(int pid, std::string_view name) const {
  std::string text;
  if (read_file(path(pid, name), text)) return text;
  const int error = errno;
  require(pid);
  if (error == EACCES || error == EPERM) fail_not_permitted(pid);
  if (error == ESRCH) throw Error(fmt::format("process {} has ended", pid));
  throw Error(fmt::format("cannot read '{}': {}", path(pid, name), std::strerror(error)));
}

std::optional<std::string> Proc::try_read(int pid, std::string_view name) const {
  std::string text;
  if (!read_file(path(pid, name), text)) return std::nullopt;
  return text;
}

std::string Proc::link_target(int pid, std::string_view name) const {
  std::error_code error;
  const fs::path target = fs::read_symlink(path(pid, name), error);
  return error ? std::string() : target.string();
}

std::string Proc::command(int pid) const {
  std::string name = try_read(pid, "comm").value_or("");
  if (name.ends_with('\n')) name.pop_back();
  return printable(std::move(name));
}

uint64_t Proc::status_bytes(int pid, std::string_view field) const {
  return field_value(try_read(pid, "status").value_or(""), field).value_or(0);
}

std::optional<uint64_t> field_value(std::string_view text, std::string_view field) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(field) || line.size() == field.size() || line[field.size()] != ':') {
      continue;
    }
    line.remove_prefix(field.size() + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    uint64_t value = 0;
    const auto [rest, fault] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (fault != std::errc()) return std::nullopt;
    const bool is_kilobytes = line.substr(static_cast<size_t>(rest - line.data())) == " kB";
    return is_kilobytes ? value * 1024 : value;
  }
  return std::nullopt;
}

}  // namespace tide::host
