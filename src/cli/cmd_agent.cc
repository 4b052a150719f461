// `tide agent`: one per machine. Looks at the processes on Tide from outside, serves their figures,
// and ships them to the fleet's database.

#include <fmt/format.h>
#include <malloc.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/agent.h"
#include "cli/command.h"
#include "cli/fleet_options.h"
#include "cli/heap_json.h"
#include "cli/process_number.h"
#include "cli/screen.h"
#include "fleet/metrics_server.h"
#include "host/error.h"

namespace tide::cli {
namespace {

constexpr HelpText kAgentHelp = {
    "  tide agent                                   # metrics at http://127.0.0.1:9464/metrics\n"
    "  tide agent --db /var/lib/tide/fleet.db       # and into a database of 'tide fleet'\n"
    "  tide agent --db clickhouse://tide@127.0.0.1:8123/heaps\n",
    "tide agent [OPTIONS]",
    "Finds the processes of this machine that run on Tide and looks at their heaps again and\n"
    "again, from outside: nothing is stopped, nothing runs in them. Serves what it sees to\n"
    "Prometheus, and with --db ships it, with the profiles of processes that are sampled.\n",
    "Other users' processes need sudo. What the database has not taken yet is in the spool, which\n"
    "outlives the agent; each batch comes to the database once. A spool that is full keeps what "
    "it\n"
    "has. A process's service and version are its TIDE_FLEET_SERVICE and TIDE_FLEET_VERSION, else\n"
    "its unit of systemd and its build-id. TIME is seconds, or with ms, s, m, h, d.\n"};

struct AgentWishes {
  std::string listen = "127.0.0.1:9464";
  std::string spool;
  std::string spool_size = "256M";
  std::string every = "10s";
  std::string profiles = "60s";
  std::string duration;
  std::string keep;
  std::string profiles_to;
  std::vector<std::string> names;
  bool listens_anywhere = false;
  bool once = false;
  bool as_json = false;
  AgentSettings settings;
  FleetOptions database;
};

std::string usual_spool() {
  if (geteuid() == 0) return "/var/lib/tide/spool";
  const char* const state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && state[0] == '/') return std::string(state) + "/tide/spool";
  const char* const home = std::getenv("HOME");
  return home == nullptr ? "tide-spool" : std::string(home) + "/.local/state/tide/spool";
}

void add_options(VerbParser& parser, AgentWishes& wishes) {
  parser
      .add_option("--listen", wishes.listen,
                  "Where metrics are served, 127.0.0.1:9464 by default; 'none': nowhere")
      ->type_name("HOST:PORT");
  parser.add_flag("--listen-anywhere", wishes.listens_anywhere,
                  "Allow an address that other machines can reach");
  parser
      .add_option("--textfile", wishes.settings.textfile_folder,
                  "Write tide.prom into the folder of node_exporter's textfile collector")
      ->type_name("DIR");
  parser.add_option("--every", wishes.every, "Time between two looks, 10s by default")
      ->type_name("TIME");
  wishes.database.add_to(parser, "none by default");
  parser
      .add_option("--profiles", wishes.profiles,
                  "Time between two profiles of a sampled process, 60s by default; 'off'")
      ->type_name("TIME");
  parser.add_option("--keep", wishes.keep, "Remove what is older from the database, once an hour")
      ->type_name("TIME");
  parser.add_option("--spool", wishes.spool, "Folder for what the database has not taken yet")
      ->type_name("DIR");
  parser.add_option("--spool-size", wishes.spool_size, "Most bytes in it, 256M by default")
      ->type_name("SIZE");
  parser.add_option("--host", wishes.settings.host, "What to call this machine, else its name")
      ->type_name("NAME");
  parser.add_option("--for", wishes.duration, "End after that time")->type_name("TIME");
  parser.add_flag("--once", wishes.once, "Look once, ship that, and end");
  parser.add_flag("--json", wishes.as_json,
                  "Say in JSON where it listens, and at the end what "
                  "was shipped");
  parser.add_option("--proc", wishes.settings.proc_folder)->group("");  // for tests
  parser.add_option("--profiles-to", wishes.profiles_to)->group("");    // for the agent itself
  parser.add_option("PID", wishes.names)->group("");
}

void require_folder(const std::string& folder) {
  if (folder.empty() || std::filesystem::is_directory(folder)) return;
  throw host::Error(fmt::format("--textfile: '{}' is no folder", folder), host::kExitUsage);
}

// Signals go to the thread that waits for them.
class SignalsHeldBack {
 public:
  SignalsHeldBack() {
    sigset_t all;
    sigemptyset(&all);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&all, number);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsHeldBack() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeldBack(const SignalsHeldBack&) = delete;
  SignalsHeldBack& operator=(const SignalsHeldBack&) = delete;

 private:
  sigset_t before_;
};

// A database that is away will come; one that is the wrong one will not.
void check_database(const fleet::DatabaseAddress& address) {
  try {
    fleet::open_store(address, false)->prepare();
  } catch (const fleet::Unavailable& error) {
    agent_says(fmt::format("{}; it is tried again", error.what()));
  }
}

// A database from which what is too old goes, once an hour.
std::unique_ptr<fleet::Store> open_tended(const fleet::DatabaseAddress& address, uint64_t keep_ns,
                                          uint64_t& next_ns) {
  constexpr uint64_t kHour = 3'600'000'000'000;
  std::unique_ptr<fleet::Store> store = fleet::open_store(address, true);
  const uint64_t now = now_since_1970();
  if (keep_ns != 0 && now >= next_ns) {
    store->prepare();
    store->remove_before(static_cast<int64_t>(now - keep_ns));
    next_ns = now + kHour;
  }
  return store;
}

// `most`: seconds, 0: without end.
void look_until_the_end(Agent& agent, const AgentWishes& wishes, double most) {
  const double every = static_cast<double>(wishes.settings.every_ns) / 1e9;
  for (double passed = 0;;) {
    agent.turn();
    const double pause = most == 0 ? every : std::min(every, most - passed);
    if (wishes.once || wait_for_end(pause, false)) return;
    passed += pause;
    if (most != 0 && passed >= most) return;
  }
}

int run_agent(AgentWishes& wishes, bool ships) {
  std::optional<fleet::DatabaseAddress> address;
  if (ships) address = wishes.database.address();
  const uint64_t keep_ns = wishes.keep.empty() ? 0 : parse_duration("--keep", wishes.keep);
  const double most = wishes.duration.empty()
                          ? 0
                          : static_cast<double>(parse_duration("--for", wishes.duration)) / 1e9;
  std::optional<fleet::ListenAddress> listen;
  if (wishes.listen != "none") {
    listen = fleet::parse_listen(wishes.listen, wishes.listens_anywhere);
    if (wishes.once) listen.reset();
  }
  Agent agent(wishes.settings);
  std::unique_ptr<fleet::Spool> spool;
  std::unique_ptr<fleet::Shipper> shipper;
  std::unique_ptr<fleet::MetricsServer> server;
  {
    const SignalsHeldBack guard;
    if (ships) {
      check_database(*address);
      spool = std::make_unique<fleet::Spool>(wishes.spool.empty() ? usual_spool() : wishes.spool,
                                             parse_size("--spool-size", wishes.spool_size));
      shipper = std::make_unique<fleet::Shipper>(
          *spool,
          [&, next = uint64_t{0}]() mutable { return open_tended(*address, keep_ns, next); },
          agent_says);
      agent.ship(*spool, *shipper);
    }
    if (listen) {
      server = std::make_unique<fleet::MetricsServer>(*listen, [&] { return agent.page(); });
    }
  }
  using Json = nlohmann::ordered_json;
  if (wishes.as_json) {
    print(json_line(Json{{"host", wishes.settings.host},
                         {"port", server == nullptr ? Json() : Json(server->port())}}));
  } else if (server != nullptr) {
    agent_says(fmt::format("serving http://{}:{}/metrics", listen->host, server->port()));
  }
  look_until_the_end(agent, wishes, most);
  if (server != nullptr) server.reset();
  if (!ships) return host::kExitOk;
  constexpr double kLastSeconds = 10;
  shipper->finish(kLastSeconds);
  const uint64_t shipped = shipper->figures().shipped_batches;
  const fleet::Spool::Content left = spool->content();
  shipper.reset();
  if (wishes.as_json) {
    print(json_line(Json{{"processes", agent.processes()},
                         {"shipped_batches", shipped},
                         {"waiting_batches", left.batches},
                         {"refused_batches", agent.refused_batches()}}));
  } else if (left.batches != 0) {
    agent_says(fmt::format("{} batch{} in '{}' for the next agent", left.batches,
                           left.batches == 1 ? " waits" : "es wait", spool->folder()));
  }
  const bool is_incomplete = left.batches != 0 || agent.refused_batches() != 0;
  return wishes.once && is_incomplete ? host::kExitFailed : host::kExitOk;
}

int run_verb_agent(const Arguments& arguments) {
  VerbParser parser(kAgentCommand, kAgentHelp);
  AgentWishes wishes;
  add_options(parser, wishes);
  if (!parser.accept(arguments)) return host::kExitOk;
  if (wishes.settings.host.empty()) wishes.settings.host = host_name();
  if (!wishes.profiles_to.empty()) {
    std::vector<int> pids;
    for (const std::string& name : wishes.names) {
      pids.push_back(parse_process_number("agent", name));
    }
    write_profiles(host::Proc(wishes.settings.proc_folder), wishes.settings.host,
                   wishes.profiles_to, pids);
    return host::kExitOk;
  }
  if (!wishes.names.empty()) {
    throw host::Error("it looks at all processes; no number is needed; see: tide agent --help",
                      host::kExitUsage);
  }
  require_folder(wishes.settings.textfile_folder);
  wishes.settings.every_ns = parse_duration("--every", wishes.every);
  if (wishes.profiles != "off") {
    wishes.settings.profiles_every_ns = parse_duration("--profiles", wishes.profiles);
  }
  mallopt(M_ARENA_MAX, 1);  // three threads that rarely meet: one heap is smaller than three
  catch_interrupts();
  return run_agent(wishes, parser.count("--db") != 0);
}

}  // namespace

const Command kAgentCommand = {
    "agent", "Serve and ship the figures of all processes of this machine", run_verb_agent};

}  // namespace tide::cli
