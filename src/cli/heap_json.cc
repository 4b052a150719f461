#include "cli/heap_json.h"

#include <string_view>
#include <utility>

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::pair<std::string_view, uint64_t tide_stats::*> kTotals[] = {
#define TIDE_FIGURE(field, metric, meaning) {#field, &tide_stats::field},
#include "layout/figures.def"
#undef TIDE_FIGURE
};

}  // namespace

void add_heap_figures(const walk::HeapFigures& figures, Json& object) {
  for (const auto& [key, member] : kTotals) object[key] = figures.totals.*member;
  object["classes"] = Json::array();
  for (const tide_class_stats& entry : figures.classes) {
    if (entry.slabs == 0) continue;
    object["classes"].push_back({{"block_bytes", entry.block_bytes},
                                 {"slabs", entry.slabs},
                                 {"live_blocks", entry.live_blocks},
                                 {"cached_blocks", entry.cached_blocks},
                                 {"free_blocks", entry.free_blocks}});
  }
  object["threads"] = Json::array();
  for (const tide_thread_stats& thread : figures.threads) {
    object["threads"].push_back({{"thread_id", thread.thread_id},
                                 {"state", thread.state == TIDE_THREAD_OWNED ? "owned" : "parked"},
                                 {"cached_bytes", thread.cached_bytes},
                                 {"cached_blocks", thread.cached_blocks}});
  }
}

std::string json_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tide::cli
