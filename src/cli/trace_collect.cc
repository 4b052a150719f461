// `tide trace --collect`: the other end of `tide trace --to`.

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <mutex>
#include <optional>
#include <thread>

#include "cli/trace_options.h"
#include "host/error.h"
#include "host/terminal.h"
#include "trace/network_server.h"
#include "trace/network_stream.h"

namespace tide::cli {
namespace {

// Until one of these signals comes, or the time is over. Who stops the collector and lets it go on
// interrupts the wait and does not end it.
void wait_for_end(const sigset_t& ends, std::optional<double> seconds) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  int got;
  do {
    if (!seconds.has_value()) {
      got = sigwaitinfo(&ends, nullptr);
      continue;
    }
    const double passed = std::chrono::duration<double>(Clock::now() - start).count();
    const double left = std::max(0.0, *seconds - passed);
    const auto whole = static_cast<time_t>(left);
    const timespec time{whole, static_cast<long>((left - static_cast<double>(whole)) * 1e9)};
    got = sigtimedwait(&ends, nullptr, &time);
  } while (got < 0 && errno == EINTR);
}

}  // namespace

int collect_traces(const TraceOptions& options) {
  std::mutex line;
  const auto say = [&](const std::string& text) {
    const std::lock_guard lock(line);
    fmt::print(stderr, "tide trace: {}\n", host::printable(text));
  };
  trace::ServerSettings settings{options.bind_to, *options.port,
                                 trace::read_token(options.token_file),
                                 options.folder.empty() ? "." : options.folder, say};
  if (settings.token.empty() && settings.bind_to != "127.0.0.1" && settings.bind_to != "::1") {
    throw host::Error(
        fmt::format("--bind {}: others can reach that; give a token by --token-file or "
                    "TIDE_TRACE_TOKEN",
                    settings.bind_to),
        host::kExitUsage);
  }
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&watched, signal);
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);

  trace::NetworkServer server(std::move(settings));
  say(fmt::format("waits at {} port {}; Ctrl-C ends", options.bind_to, server.port()));
  std::thread thread([&] { server.run(); });
  wait_for_end(watched, options.seconds);
  server.stop();
  thread.join();
  return host::kExitOk;
}

}  // namespace tide::cli
