#include "report/size_labels.h"

#include <fmt/format.h>

#include "host/byte_text.h"
#include "host/number_text.h"

namespace tide::report {
namespace {

using trace::Histogram;

// A power of two without the ".0": "64 KiB".
std::string whole_bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && bytes % 1024 == 0; bytes /= 1024) ++unit;
  return fmt::format("{} {}", bytes, kUnits[unit]);
}

std::string short_duration(uint64_t ns) {
  const auto value = static_cast<double>(ns);
  if (ns < 1000) return fmt::format("{} ns", ns);
  if (ns < 1'000'000) return fmt::format("{:.0f} µs", value / 1e3);
  if (ns < 1'000'000'000) return fmt::format("{:.0f} ms", value / 1e6);
  return fmt::format("{:.0f} s", value / 1e9);
}

std::vector<double> values_of(const Histogram& histogram, BinRange range, bool is_sum) {
  std::vector<double> values;
  for (size_t bin = range.first; bin < range.end; ++bin) {
    const Histogram::Bin& here = histogram.bins[bin];
    values.push_back(static_cast<double>(is_sum ? here.sum : here.count));
  }
  return values;
}

}  // namespace

std::string size_label(size_t bin) {
  if (bin < 2) return fmt::format("{} B", bin);
  const uint64_t from = Histogram::from(bin);
  return from < 1024 ? fmt::format("{}-{} B", from, 2 * from - 1) : "≥ " + whole_bytes(from);
}

std::string duration_label(size_t bin) {
  return bin == 0 ? "0 ns" : "≥ " + short_duration(Histogram::from(bin));
}

BinRange used_bins(const Histogram& histogram) {
  BinRange range{Histogram::kBins, 0};
  for (size_t bin = 0; bin < Histogram::kBins; ++bin) {
    if (histogram.bins[bin].count == 0) continue;
    range.first = std::min(range.first, bin);
    range.end = bin + 1;
  }
  return range.end == 0 ? BinRange{} : range;
}

Json size_bars(const Caption& caption, const Histogram& sizes) {
  const BinRange range = used_bins(sizes);
  std::vector<std::string> labels;
  for (size_t bin = range.first; bin < range.end; ++bin) labels.push_back(size_label(bin));
  const Axis x = {"size asked for", "text"};
  Json plot = bars(caption, x, {"allocations", "count"}, labels,
                   {{"Allocations", 0, values_of(sizes, range, false)}});
  const Json bytes =
      bars(caption, x, {"bytes", "bytes"}, labels, {{"Bytes", 0, values_of(sizes, range, true)}});
  plot["views"] = {{{"name", "Allocations"}},
                   {{"name", "Bytes"}, {"series", bytes["series"]}, {"y", bytes["y"]}}};
  return plot;
}

Json lifetime_bars(const Caption& caption, const Histogram& lifetimes) {
  const BinRange range = used_bins(lifetimes);
  std::vector<std::string> labels;
  for (size_t bin = range.first; bin < range.end; ++bin) labels.push_back(duration_label(bin));
  return bars(caption, {"time from allocation to release", "text"}, {"blocks", "count"}, labels,
              {{"Blocks", 2, values_of(lifetimes, range, false)}});
}

std::string counted(uint64_t count, const std::string& what) {
  return host::grouped(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace tide::report
