// symbols.json, see docs/formats.md.

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "host/error.h"
#include "trace/symbol_table.h"

namespace tide::trace {

using Json = nlohmann::json;

namespace {

uint64_t address(const Json& value) {
  return std::stoull(value.get_ref<const std::string&>(), nullptr, 16);
}

}  // namespace

void SymbolTable::load(const std::string& path) {
  std::ifstream in(path);
  const Json json = Json::parse(in, nullptr, false);
  if (!json.is_object()) throw host::Error(fmt::format("'{}' is no JSON object", path));
  try {
    const Json& strings = json.at("strings");
    const auto text = [&](const Json& index) -> const std::string& {
      return strings.at(index.get<size_t>()).get_ref<const std::string&>();
    };
    for (const Json& module : json.at("modules")) {
      add_module({address(module.at(0)), module.at(1), text(module.at(2)), module.at(3)});
    }
    for (const Json& entry : json.at("frames")) {
      std::vector<Frame> frames;
      for (const Json& place : entry.at(2)) {
        frames.push_back({text(place.at(0)), text(place.at(1)), place.at(2)});
      }
      if (!frames.empty()) add(address(entry.at(0)), std::move(frames));
    }
  } catch (const std::exception& error) {
    throw host::Error(fmt::format("'{}' is not as it should be: {}", path, error.what()));
  }
}

}  // namespace tide::trace
