#include "cli/trace_control.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "cli/command.h"
#include "host/error.h"
#include "host/file_descriptor.h"

namespace tide::cli {
namespace {

constexpr std::string_view kSocketName = "control";
constexpr size_t kLongestLine = 1000;

struct ControlCommand {
  std::string_view name;
  bool has_text;
  void (*run)(trace::Collector& collector, const std::string& text);
};

constexpr std::array kCommands = {
    ControlCommand{"pause", false, [](trace::Collector& c, const std::string&) { c.pause(); }},
    ControlCommand{"resume", false, [](trace::Collector& c, const std::string&) { c.resume(); }},
    ControlCommand{"stop", false,
                   [](trace::Collector& c, const std::string&) { c.stop("asked by --control"); }},
    ControlCommand{"sync", false, [](trace::Collector& c, const std::string&) { c.sync(); }},
    ControlCommand{"reset", false, [](trace::Collector& c, const std::string&) { c.reset(); }},
    ControlCommand{"marker", true,
                   [](trace::Collector& c, const std::string& text) { c.mark(text); }},
};

// A socket's address holds few bytes, so the folder is named by a descriptor.
class SocketPlace {
 public:
  explicit SocketPlace(const std::string& folder)
      : folder_(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    address_.sun_family = AF_UNIX;
    const std::string path = fmt::format("/proc/self/fd/{}/{}", folder_.get(), kSocketName);
    path.copy(address_.sun_path, sizeof address_.sun_path - 1);
  }
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t kBytes = sizeof(sockaddr_un);

 private:
  host::FileDescriptor folder_;
  sockaddr_un address_{};
};

// Up to the line's end, or as much as came.
std::string read_line(int socket) {
  std::string line;
  char c;
  while (line.size() < kLongestLine && read(socket, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

void write_line(int socket, const std::string& text) {
  const std::string line = text + '\n';
  send(socket, line.data(), line.size(), MSG_NOSIGNAL);
}

}  // namespace

TraceControl::TraceControl(const std::string& folder, trace::Collector& collector)
    : path_(folder + '/' + std::string(kSocketName)), collector_(collector) {
  const SocketPlace place(folder);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return;
  if (bind(listener, place.address(), SocketPlace::kBytes) != 0 || listen(listener, 4) != 0) {
    close(listener);
    return;
  }
  listener_ = listener;
  thread_ = std::thread([this] { serve(); });
}

TraceControl::~TraceControl() {
  if (listener_ < 0) return;
  shutdown(listener_, SHUT_RDWR);
  thread_.join();
  close(listener_);
  unlink(path_.c_str());
}

void TraceControl::serve() {
  for (;;) {
    const host::FileDescriptor socket(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.get() < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return;
    }
    const timeval patience{1, 0};
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const std::string line = read_line(socket.get());
    const size_t space = std::min(line.find(' '), line.size());
    const std::string text = space < line.size() ? line.substr(space + 1) : "";
    const auto command =
        std::find_if(kCommands.begin(), kCommands.end(),
                     [&](const ControlCommand& c) { return c.name == line.substr(0, space); });
    if (command == kCommands.end()) {
      write_line(socket.get(), "unknown");
      continue;
    }
    command->run(collector_, text);
    write_line(socket.get(), "ok");
  }
}

void send_control(const std::string& folder, const std::vector<std::string>& command) {
  const auto fail_usage = [](const std::string& what) {
    throw host::Error(what + "; see: tide trace --help", host::kExitUsage);
  };
  if (command.empty()) fail_usage("--control: no command given");
  std::vector<std::string_view> names;
  for (const ControlCommand& known : kCommands) names.push_back(known.name);
  const auto known = std::find_if(kCommands.begin(), kCommands.end(),
                                  [&](const ControlCommand& c) { return c.name == command[0]; });
  if (known == kCommands.end()) {
    fail_usage(fmt::format("--control: there is no command '{}'{}", command[0],
                           did_you_mean(command[0], names)));
  }
  if (known->has_text != (command.size() == 2)) {
    fail_usage(fmt::format("--control: '{}' takes {}", known->name,
                           known->has_text ? "one text" : "nothing behind it"));
  }
  std::string line = fmt::format("{}", fmt::join(command, " "));
  std::replace(line.begin(), line.end(), '\n', ' ');
  if (line.size() >= kLongestLine) fail_usage("--control: the text is too long");

  const SocketPlace place(folder);
  const host::FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(socket.get(), place.address(), SocketPlace::kBytes) != 0) {
    throw host::Error(fmt::format("nobody records into '{}' ({})", folder, std::strerror(errno)));
  }
  write_line(socket.get(), line);
  const std::string answer = read_line(socket.get());
  if (answer != "ok") {
    throw host::Error(fmt::format("the recording in '{}' has ended", folder));
  }
}

}  // namespace tide::cli
