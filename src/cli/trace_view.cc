#include "cli/trace_view.h"

#include <fmt/format.h>

#include "host/byte_text.h"
#include "trace/histogram.h"

namespace tide::cli {

std::string size_range(size_t bin) {
  if (bin == 0) return "0 B";
  const uint64_t from = trace::Histogram::from(bin);
  if (from < 1024) return from == 1 ? "1 B" : fmt::format("{}-{} B", from, 2 * from - 1);
  return host::short_byte_text(from) + "-" + host::short_byte_text(2 * from);
}

}  // namespace tide::cli
