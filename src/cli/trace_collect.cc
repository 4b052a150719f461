// `tide trace --collect`: the other end of `tide trace --to`.

#include <fmt/format.h>

#include <csignal>
#include <mutex>
#include <thread>

#include "cli/trace_options.h"
#include "host/error.h"
#include "host/terminal.h"
#include "trace/network_server.h"
#include "trace/network_stream.h"

namespace tide::cli {

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
  if (options.seconds.has_value()) {
    const timespec time{static_cast<time_t>(*options.seconds), 0};
    sigtimedwait(&watched, nullptr, &time);
  } else {
    sigwaitinfo(&watched, nullptr);
  }
  server.stop();
  thread.join();
  return host::kExitOk;
}

}  // namespace tide::cli
