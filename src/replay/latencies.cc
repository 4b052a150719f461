#include "replay/latencies.h"

#include <algorithm>

namespace tide::replay {

double ticks_at(const LatencyBand& band, double share) {
  const double wanted = share * static_cast<double>(band.count);
  double seen = 0;
  for (size_t i = 0; i < format::kLatencyBuckets; ++i) {
    if (band.counts[i] == 0) continue;
    const auto here = static_cast<double>(band.counts[i]);
    if (seen + here < wanted) {
      seen += here;
      continue;
    }
    const auto begin = static_cast<double>(format::latency_bucket_begin(i));
    const auto end = static_cast<double>(format::latency_bucket_begin(i + 1));
    const double value = begin + (end - begin) * std::max(0.0, wanted - seen) / here;
    return std::min(value, static_cast<double>(band.longest));
  }
  return static_cast<double>(band.longest);
}

void add_latencies(std::vector<LatencyBand>& all, const std::vector<LatencyBand>& more) {
  for (const LatencyBand& band : more) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const LatencyBand& other) {
      return other.kind == band.kind && other.band == band.band;
    });
    if (same == all.end()) {
      all.push_back(band);
      continue;
    }
    same->count += band.count;
    same->longest = std::max(same->longest, band.longest);
    for (size_t i = 0; i < band.counts.size(); ++i) same->counts[i] += band.counts[i];
  }
}

std::vector<LatencyRow> latency_rows(const std::vector<LatencyBand>& bands, double ns_per_tick) {
  std::vector<LatencyBand> ordered = bands;
  std::sort(ordered.begin(), ordered.end(), [](const LatencyBand& a, const LatencyBand& b) {
    return a.kind != b.kind ? a.kind < b.kind : a.band < b.band;
  });
  std::vector<LatencyRow> rows;
  for (const LatencyBand& band : ordered) {
    LatencyRow row{band.kind,
                   format::latency_band_begin(band.band),
                   format::kLatencyBandEnds[band.band],
                   band.count,
                   ticks_at(band, 0.5) * ns_per_tick,
                   ticks_at(band, 0.99) * ns_per_tick,
                   ticks_at(band, 0.999) * ns_per_tick,
                   static_cast<double>(band.longest) * ns_per_tick,
                   {}};
    for (size_t i = 0; i < band.counts.size(); ++i) {
      // An empty one behind a full one tells where that ends.
      if (band.counts[i] == 0 && (i == 0 || band.counts[i - 1] == 0)) continue;
      row.histogram.emplace_back(static_cast<double>(format::latency_bucket_begin(i)) * ns_per_tick,
                                 band.counts[i]);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Percentiles percentiles(const std::vector<LatencyBand>& bands, double ns_per_tick) {
  LatencyBand all{};
  for (const LatencyBand& band : bands) {
    all.count += band.count;
    all.longest = std::max(all.longest, band.longest);
    for (size_t i = 0; i < band.counts.size(); ++i) all.counts[i] += band.counts[i];
  }
  if (all.count == 0) return {};
  return {ticks_at(all, 0.5) * ns_per_tick, ticks_at(all, 0.99) * ns_per_tick,
          ticks_at(all, 0.999) * ns_per_tick, static_cast<double>(all.longest) * ns_per_tick};
}

}  // namespace tide::replay
