// `tide fleet import`: what is in files, into the database.

#include "cli/fleet_import.h"

#include <fmt/format.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/fleet_verbs.h"
#include "cli/heap_json.h"
#include "cli/trace_input.h"
#include "host/error.h"
#include "profile/names.h"
#include "profile/profile.h"

namespace tide::cli {
namespace {

using PlainJson = nlohmann::json;

constexpr HelpText kFleetImportHelp = {
    "  tide fleet import out.trace --db clickhouse://tide@127.0.0.1:8123/heaps\n"
    "  tide top --json --interval 10 > figures.json; tide fleet import figures.json\n",
    "tide fleet import [OPTIONS] FILE...",
    "Puts files into the database, which is made if need be. FILE is a trace (all that tide info\n"
    "reads), the JSON of tide top, or a profile that a program left (tide run --profile=FILE).\n",
    "A file that is given again is not doubled; one that was broken off is gone on with.\n"};

struct Labels {
  std::string host, service, version;
};

FleetLabels labels_of(const Labels& given, int64_t pid, const std::string& command) {
  FleetLabels labels;
  labels.host = given.host;
  labels.command = command;
  labels.service = given.service.empty() ? command : given.service;
  labels.version = given.version;
  labels.process =
      fleet::number_of(fmt::format("{}\n{}\n{}\n{}", labels.host, pid, command, labels.version));
  return labels;
}

void add_process(const FleetLabels& labels, int64_t pid, uint64_t time_ns, fleet::Batch& batch) {
  batch.rows(fleet::TableId::kProcesses)
      .add({labels.process, labels.host, pid, labels.command, labels.container, std::string(), pid,
            labels.service, labels.version, std::string(), std::string(),
            static_cast<int64_t>(time_ns)});
}

// A line of `tide top --json`.
void add_sample(const PlainJson& sample, const Labels& given, fleet::Batch& batch) {
  const auto time_ns =
      static_cast<uint64_t>(std::llround(sample.at("time").get<double>() * 1e3)) * 1'000'000;
  for (const PlainJson& process : sample.at("processes")) {
    const int64_t pid = process.at("process_id");
    FleetLabels labels = labels_of(given, pid, process.at("command"));
    labels.container = process.value("container", "");
    tide_stats totals{};
#define TIDE_FIGURE(field, metric, meaning) totals.field = process.at(#field);
#include "layout/figures.def"
#undef TIDE_FIGURE
    add_process(labels, pid, time_ns, batch);
    add_statistics(labels, time_ns, process.at("rss_bytes"), totals, batch);
    for (const PlainJson& row : process.at("classes")) {
      tide_class_stats entry{};
      entry.block_bytes = row.at("block_bytes");
      entry.slabs = row.at("slabs");
      entry.live_blocks = row.at("live_blocks");
      entry.cached_blocks = row.at("cached_blocks");
      entry.free_blocks = row.at("free_blocks");
      add_size_class(labels, time_ns, entry, batch);
    }
  }
}

size_t import_samples(fleet::Store& store, const std::string& path, const Labels& given) {
  std::ifstream in(path);
  std::string line;
  size_t batches = 0;
  for (size_t number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    fleet::Batch batch{fmt::format("samples-{:016x}-{:016x}", fleet::number_of(line),
                                   fleet::number_of(given.host + "\n" + given.version)),
                       given.host,
                       {}};
    try {
      const PlainJson sample = PlainJson::parse(line);
      if (sample.at("schema") != "tide-top") throw host::Error("it is no JSON of tide top");
      add_sample(sample, given, batch);
    } catch (const std::exception& error) {
      throw host::Error(fmt::format("'{}', line {}: {}", path, number, error.what()));
    }
    if (apply_patiently(store, batch)) ++batches;
  }
  return batches;
}

size_t import_profile(fleet::Store& store, const std::string& path, const Labels& given) {
  const profile::Profile profile = profile::load_profile(path);
  // Without mappings nobody knows whose it is.
  std::string command = given.service.empty() ? "?" : given.service;
  for (const host::Mapping& mapping : profile.maps) {
    if (!mapping.is_file()) continue;
    command = mapping.name.substr(mapping.name.rfind('/') + 1);
    break;
  }
  const FleetLabels labels = labels_of(given, profile.pid, command);
  fleet::Batch batch{
      fmt::format("profile-{:016x}-{}", labels.process, profile.real_now_ns), given.host, {}};
  profile::Names names(profile);
  add_process(labels, profile.pid, profile.real_now_ns, batch);
  add_profile(labels, profile.real_now_ns, profile, names, batch);
  return apply_patiently(store, batch) ? 1 : 0;
}

bool is_samples(const std::string& path) {
  std::ifstream in(path);
  std::string start(64, '\0');
  in.read(start.data(), static_cast<std::streamsize>(start.size()));
  return start.find("\"tide-top\"") != std::string::npos;
}

nlohmann::ordered_json import_file(fleet::Store& store, const std::string& path,
                                   const Labels& given, bool salvages) {
  nlohmann::ordered_json json = {{"file", path}};
  const InputKind kind = kind_of(path);
  if (kind == InputKind::kTrace || kind == InputKind::kImport) {
    const SentTrace sent = send_trace(store, path, given.host, salvages);
    json["kind"] = "trace";
    json["trace"] = sent.trace;
    json["events"] = sent.events;
    json["was_there"] = sent.was_there;
  } else if (is_samples(path)) {
    json["kind"] = "samples";
    json["batches"] = import_samples(store, path, given);
  } else if (profile::is_profile_file(path)) {
    json["kind"] = "profile";
    json["batches"] = import_profile(store, path, given);
  } else {
    throw host::Error(fmt::format(
        "'{}' is no trace, no JSON of tide top and no profile; see: tide fleet import --help",
        path));
  }
  return json;
}

int run_fleet_import(const Arguments& arguments) {
  VerbParser parser(kFleetImportCommand, kFleetImportHelp);
  FleetOptions database;
  std::vector<std::string> paths;
  Labels labels;
  bool salvages = false;
  bool as_json = false;
  parser.add_option("FILE", paths)->group("");
  parser.add_option("--host", labels.host, "Of what is in the files; this machine by default")
      ->type_name("NAME");
  parser.add_option("--service", labels.service, "Likewise; the command by default")
      ->type_name("NAME");
  parser.add_option("--version", labels.version, "Likewise")->type_name("NAME");
  parser.add_flag("--salvage", salvages, "Leave out what is damaged in traces");
  database.add_to(parser);
  parser.add_flag("--json", as_json, "Print JSON");
  if (!parser.accept(arguments)) return host::kExitOk;
  if (paths.empty()) {
    throw host::Error("no file given; see: tide fleet import --help", host::kExitUsage);
  }
  if (labels.host.empty()) labels.host = host_name();
  for (const std::string& path : paths) {
    std::ifstream in(path);
    if (!in.is_open()) {
      throw host::Error(fmt::format("'{}' cannot be opened: {}", path, std::strerror(errno)));
    }
  }
  const auto store = fleet::open_store(database.address(), false);
  store->prepare();
  nlohmann::ordered_json json = fleet_json("import", nullptr);
  json["files"] = nlohmann::ordered_json::array();
  for (const std::string& path : paths) {
    nlohmann::ordered_json file = import_file(*store, path, labels, salvages);
    if (!as_json) {
      const bool is_trace = file["kind"] == "trace";
      const bool was_there = is_trace ? file["was_there"].get<bool>() : file["batches"] == 0;
      print(was_there  ? fmt::format("{}: was there already\n", path)
            : is_trace ? fmt::format("{}: trace {}, {} events\n", path,
                                     file["trace"].get<int64_t>(), file["events"].get<int64_t>())
                       : fmt::format("{}: {}, {} batches\n", path, file["kind"].get<std::string>(),
                                     file["batches"].get<size_t>()));
    }
    json["files"].push_back(std::move(file));
  }
  if (as_json) print(json_line(json));
  return host::kExitOk;
}

}  // namespace

const Command kFleetImportCommand = {"fleet import", "Put files into the database",
                                     run_fleet_import};

}  // namespace tide::cli
