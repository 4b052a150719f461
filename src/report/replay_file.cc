#include "report/replay_file.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "host/error.h"

namespace tide::report {
namespace {

constexpr size_t kMostBytes = size_t{256} << 20;

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  char part[1 << 16];
  while (in.read(part, sizeof part) || in.gcount() != 0) {
    text.append(part, static_cast<size_t>(in.gcount()));
    if (text.size() > kMostBytes) throw host::Error(fmt::format("'{}' is too large", path));
  }
  if (in.bad()) throw host::Error(fmt::format("'{}' cannot be read", path));
  return text;
}

// Null where the key is absent or of another kind.
const Json* find(const Json& json, const char* key) {
  const auto at = json.find(key);
  return at == json.end() ? nullptr : &*at;
}

std::string string_of(const Json& json, const char* key) {
  const Json* const value = find(json, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

double number_of(const Json& json, const char* key) {
  const Json* const value = find(json, key);
  return value != nullptr && value->is_number() ? value->get<double>() : 0;
}

Json number_or_null(const Json& json, const char* key) {
  const Json* const value = find(json, key);
  return value != nullptr && value->is_number() ? *value : Json();
}

// [[x, y, ...], ...], rows of another form are passed over.
Points pairs(const Json* rows, size_t column) {
  Points points;
  if (rows == nullptr || !rows->is_array()) return points;
  for (const Json& row : *rows) {
    if (!row.is_array() || row.size() <= column) continue;
    if (!row[0].is_number() || !row[column].is_number()) continue;
    points.emplace_back(row[0].get<double>(), row[column].get<double>());
  }
  return points;
}

}  // namespace

bool is_replay(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  char first[512] = {};
  in.read(first, sizeof first - 1);
  const std::string_view text(first, static_cast<size_t>(in.gcount()));
  const size_t brace = text.find_first_not_of(" \t\r\n");
  return brace != std::string_view::npos && text[brace] == '{' &&
         text.find("\"tide_replay\"") != std::string_view::npos;
}

ReplayFile read_replay(const std::string& path) {
  ReplayFile file;
  const auto fail = [&](const std::string& what) -> void {
    throw host::Error(fmt::format("'{}' is damaged: {}", path, what));
  };
  try {
    file.json = Json::parse(content(path));
  } catch (const Json::exception& error) {
    const auto* const parse = dynamic_cast<const Json::parse_error*>(&error);
    fail(parse != nullptr ? fmt::format("no JSON at offset {}", parse->byte) : error.what());
  }
  if (!file.json.is_object()) fail("it is no object");
  if (number_of(file.json, "tide_replay") != 1) {
    throw host::Error(fmt::format("'{}' is of another version of tide replay", path));
  }
  const Json* const runs = find(file.json, "runs");
  if (runs == nullptr || !runs->is_array()) fail("it has no \"runs\"");
  if (runs->empty()) fail("it has no run");
  for (const Json& json : *runs) {
    if (!json.is_object()) fail("a run is no object");
    ReplayRun run = {string_of(json, "label"), string_of(json, "allocator"),
                     string_of(json, "library"), string_of(json, "status"), json};
    if (run.label.empty()) run.label = run.allocator;
    if (run.label.empty()) fail("a run has no \"allocator\"");
    if (run.status.empty()) run.status = "ok";
    file.runs.push_back(std::move(run));
  }
  return file;
}

std::optional<Figure> ReplayRun::figure(const char* name) const {
  const Json* const value = find(json, name);
  if (value == nullptr || !value->is_object()) return std::nullopt;
  const Json* const median = find(*value, "median");
  if (median == nullptr || !median->is_number()) return std::nullopt;
  const double middle = median->get<double>();
  Figure figure{middle, middle, middle};
  if (!number_or_null(*value, "low").is_null()) figure.low = number_of(*value, "low");
  if (!number_or_null(*value, "high").is_null()) figure.high = number_of(*value, "high");
  return figure;
}

std::vector<Latency> ReplayRun::latencies() const {
  std::vector<Latency> all;
  const Json* const rows = find(json, "latency");
  if (rows == nullptr || !rows->is_array()) return all;
  for (const Json& row : *rows) {
    if (!row.is_object()) continue;
    all.push_back({string_of(row, "call"), number_of(row, "low"), number_of(row, "high"),
                   number_of(row, "count"), number_or_null(row, "p50_ns"),
                   number_or_null(row, "p99_ns"), number_or_null(row, "p999_ns"),
                   number_or_null(row, "max_ns"), pairs(find(row, "histogram"), 1)});
  }
  return all;
}

Points ReplayRun::timeline(size_t column) const { return pairs(find(json, "timeline"), column); }

Json median_of(const ReplayRun& run, const char* name) {
  const std::optional<Figure> figure = run.figure(name);
  return figure ? Json(figure->median) : Json();
}

}  // namespace tide::report
