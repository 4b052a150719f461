#include "trace/symbolizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

namespace tide::trace {

nlohmann::ordered_json symbols_of(const TracedProcess& process, host::SymbolCache& cache) {
  using Json = nlohmann::ordered_json;
  Json modules = Json::array(), strings = Json::array({""}), frames = Json::array();
  std::unordered_map<std::string, size_t> numbers = {{"", 0}};
  const auto number_of = [&](std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c >= 0x80; }, '?');
    const auto [at, is_new] = numbers.try_emplace(text, strings.size());
    if (is_new) strings.push_back(text);
    return at->second;
  };
  const std::vector<Module>& known = process.modules();
  for (const Module& module : known) {
    modules.push_back({fmt::format("{:#x}", module.address), module.bytes, number_of(module.path),
                       module.build_id});
  }
  const std::vector<std::string> files = process.module_files();
  std::vector<uint64_t> addresses(process.addresses().begin(), process.addresses().end());
  std::sort(addresses.begin(), addresses.end());
  for (const uint64_t address : addresses) {
    // The last one that was loaded there; what a call returns to may be the next function already.
    const auto module = std::find_if(known.rbegin(), known.rend(), [&](const Module& m) {
      return address - 1 - m.address < m.bytes;
    });
    Json places = Json::array();
    const auto index = module == known.rend() ? -1 : known.rend() - module - 1;
    if (index >= 0) {
      const std::string& file = files[static_cast<size_t>(index)];
      for (const host::SourcePlace& place :
           cache.places(file, module->build_id, address - 1 - module->address)) {
        places.push_back({number_of(place.function), number_of(place.file), place.line});
      }
    }
    frames.push_back({fmt::format("{:#x}", address), index, std::move(places)});
  }
  return {{"version", 1},
          {"modules", std::move(modules)},
          {"strings", std::move(strings)},
          {"frames", std::move(frames)}};
}

}  // namespace tide::trace
