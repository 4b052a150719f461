#include "cli/heap_json.h"

#include <string_view>
#include <utility>

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::pair<std::string_view, uint64_t tide_stats::*> kTotals[] = {
    {"live_bytes", &tide_stats::live_bytes},
    {"live_blocks", &tide_stats::live_blocks},
    {"large_live_bytes", &tide_stats::large_live_bytes},
    {"large_live_blocks", &tide_stats::large_live_blocks},
    {"huge_live_bytes", &tide_stats::huge_live_bytes},
    {"huge_live_blocks", &tide_stats::huge_live_blocks},
    {"cached_bytes", &tide_stats::cached_bytes},
    {"free_dirty_bytes", &tide_stats::free_dirty_bytes},
    {"huge_cached_bytes", &tide_stats::huge_cached_bytes},
    {"returned_bytes", &tide_stats::returned_bytes},
    {"metadata_bytes", &tide_stats::metadata_bytes},
    {"mapped_bytes", &tide_stats::mapped_bytes},
    {"thread_caches", &tide_stats::thread_caches},
    {"heaps", &tide_stats::heaps},
    {"purge_calls", &tide_stats::purge_calls},
    {"purged_bytes", &tide_stats::purged_bytes},
    {"retaken_bytes", &tide_stats::retaken_bytes},
    {"purge_max_ns", &tide_stats::purge_max_ns},
    {"purge_total_ns", &tide_stats::purge_total_ns},
    {"background_turns", &tide_stats::background_turns},
    {"limit_bytes", &tide_stats::limit_bytes},
    {"footprint_bytes", &tide_stats::footprint_bytes},
    {"limit_soft_bytes", &tide_stats::limit_soft_bytes},
    {"limit_hard_bytes", &tide_stats::limit_hard_bytes},
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
