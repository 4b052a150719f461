// What a SymbolCache knows, as text: JSON, for names have any characters.
#include <nlohmann/json.hpp>

#include "host/symbol_cache.h"

namespace tide::host {
namespace {

using Json = nlohmann::json;
constexpr int kVersion = 1;

}  // namespace

void SymbolCache::learn(const std::string& text) {
  if (text.empty()) return;
  try {
    const Json all = Json::parse(text);
    if (all.at("version") != kVersion) return;
    for (const auto& [file, id] : all.at("build_ids").items()) {
      build_ids_[file] = {id.get<std::string>(), false};
    }
    for (const auto& [id, code] : all.at("code").items()) {
      for (const Json& entry : code) {
        Known known;
        for (const Json& place : entry.at(1)) {
          known.places.push_back({place.at(0), place.at(1), place.at(2)});
        }
        known_[id].insert_or_assign(entry.at(0).get<uint64_t>(), std::move(known));
      }
    }
  } catch (const Json::exception&) {
    known_.clear();
    build_ids_.clear();
  }
}

std::string SymbolCache::news() const {
  if (!has_news_) return {};
  Json all = {{"version", kVersion}, {"build_ids", Json::object()}, {"code", Json::object()}};
  for (const auto& [file, id] : build_ids_) {
    if (id.is_asked_for) all["build_ids"][file] = id.text;
  }
  for (const auto& [id, code] : known_) {
    // Of a file without a build id: it may be rewritten in its place.
    if (id.empty() || id[0] == '/') continue;
    Json entries = Json::array();
    for (const auto& [offset, known] : code) {
      if (!known.is_asked_for || !known.is_of_file) continue;
      Json places = Json::array();
      for (const SourcePlace& place : known.places) {
        places.push_back({place.function, place.file, place.line});
      }
      entries.push_back({offset, std::move(places)});
    }
    if (!entries.empty()) all["code"][id] = std::move(entries);
  }
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tide::host
