// Figures and options in C types.
#include "api/control.h"

#include <cerrno>
#include <cstring>

#include "api/allocate.h"
#include "api/options.h"
#include "api/prometheus.h"
#include "api/report.h"

namespace tide::api {

namespace {

#define TIDE_STRINGIFY(x) #x
#define TIDE_VERSION_TEXT(major, minor, patch) \
  TIDE_STRINGIFY(major) "." TIDE_STRINGIFY(minor) "." TIDE_STRINGIFY(patch)
static_assert(std::string_view(TIDE_VERSION) ==
                  TIDE_VERSION_TEXT(TIDE_VERSION_MAJOR, TIDE_VERSION_MINOR, TIDE_VERSION_PATCH),
              "tide.h and CMakeLists.txt name the same version");
#undef TIDE_VERSION_TEXT
#undef TIDE_STRINGIFY

static_assert(static_cast<int>(StatsFormat::kText) == TIDE_STATS_TEXT &&
              static_cast<int>(StatsFormat::kJson) == TIDE_STATS_JSON &&
              static_cast<int>(StatsFormat::kPrometheus) == TIDE_STATS_PROMETHEUS);
static_assert(static_cast<int>(layout::CacheState::kOwned) == TIDE_THREAD_OWNED &&
              static_cast<int>(layout::CacheState::kParked) == TIDE_THREAD_PARKED);

bool write_stats(tide_stats_format format, ReportWriter& out) {
  switch (format) {
    case TIDE_STATS_TEXT:
      write_stats_text(out);
      return true;
    case TIDE_STATS_JSON:
      write_stats_json(out);
      return true;
    case TIDE_STATS_PROMETHEUS:
      write_stats_prometheus(out);
      return true;
  }
  return false;
}

// snprintf's rule: cut what does not fit, count it all.
struct Bounded {
  char* buffer;
  size_t room;
  size_t total;

  static void take(void* argument, std::string_view piece) {
    auto& self = *static_cast<Bounded*>(argument);
    if (self.total < self.room) {
      const size_t left = self.room - self.total;
      memcpy(self.buffer + self.total, piece.data(), piece.size() < left ? piece.size() : left);
    }
    self.total += piece.size();
  }
};

struct Forwarded {
  tide_writer write;
  void* argument;

  static void take(void* argument, std::string_view piece) {
    const auto& self = *static_cast<const Forwarded*>(argument);
    self.write(piece.data(), piece.size(), self.argument);
  }
};

// A value as a C string.
template <size_t kCapacity>
class CText {
 public:
  base::TextWriter& writer() { return text_; }
  const char* finish() {
    storage_[text_.length()] = '\0';
    return storage_;
  }

 private:
  char storage_[kCapacity + 1];
  base::TextWriter text_{storage_, kCapacity};
};

bool has_range(OptionType type) {
  return type == OptionType::kInteger || type == OptionType::kBytes || type == OptionType::kLimit ||
         type == OptionType::kDuration;
}

bool visit_option(size_t i, tide_option_visitor visit, void* argument) {
  const OptionRow& row = kOptionRows[i];
  const auto id = static_cast<OptionId>(i);
  CText<1024> value;
  CText<64> initial;
  CText<64> minimum;
  CText<64> maximum;
  CText<64> source;
  options().format(id, value.writer());
  options().format_source(id, source.writer());
  format_value(row.type, row.unit, row.initial, initial.writer());
  if (has_range(row.type)) {
    format_value(row.type, row.unit, row.minimum, minimum.writer());
    format_value(row.type, row.unit, row.maximum, maximum.writer());
  }
  // The table's texts are literals and so end with a zero.
  const tide_option option{row.name.data(),  type_name(row.type).data(),
                           value.finish(),   initial.finish(),
                           minimum.finish(), maximum.finish(),
                           row.unit.data(),  source.finish(),
                           row.help.data(),  row.change == OptionChange::kAtStart ? 1 : 0};
  return visit(&option, argument) != 0;
}

}  // namespace

tide_mallinfo mallinfo() {
  const MallinfoFigures f = mallinfo_figures();
  return {f.arena,   f.ordblks, f.smblks,   f.hblks,    f.hblkhd,
          f.usmblks, f.fsmblks, f.uordblks, f.fordblks, f.keepcost};
}

int stats_get(tide_stats* stats, size_t bytes) {
  if (bytes < offsetof(tide_stats, mapped_bytes)) return EINVAL;
  heap::Stats inner;
  collect_stats(inner);
  tide_stats result{};
  result.version = TIDE_STATS_VERSION;
  result.size = static_cast<uint32_t>(bytes < sizeof result ? bytes : sizeof result);
  result.mapped_bytes = inner.mapped_bytes;
  result.live_bytes = inner.live_bytes;
  result.live_blocks = inner.live_blocks;
  result.cached_bytes = inner.cached_bytes;
  result.free_dirty_bytes = inner.free_dirty_bytes;
  result.returned_bytes = inner.returned_bytes;
  result.metadata_bytes = inner.metadata_bytes;
  result.large_live_bytes = inner.large_live_bytes;
  result.large_live_blocks = inner.large_live_blocks;
  result.huge_live_bytes = inner.huge_live_bytes;
  result.huge_live_blocks = inner.huge_live_blocks;
  result.huge_cached_bytes = inner.huge_cached_bytes;
  result.thread_caches = inner.thread_caches;
  result.heaps = inner.heaps;
  result.purge_calls = inner.purge_calls;
  result.purged_bytes = inner.purged_bytes;
  result.retaken_bytes = inner.retaken_bytes;
  result.purge_max_ns = inner.purge_max_ns;
  result.purge_total_ns = inner.purge_total_ns;
  result.background_turns = inner.background_turns;
  result.limit_bytes = inner.limit_bytes;
  result.footprint_bytes = inner.footprint_bytes;
  result.limit_soft_bytes = inner.limit_soft_bytes;
  result.limit_hard_bytes = inner.limit_hard_bytes;
  memcpy(stats, &result, result.size);
  return 0;
}

size_t class_stats_get(tide_class_stats* classes, size_t count) {
  heap::Stats inner;
  collect_stats(inner);
  constexpr size_t kClasses = layout::kClassCount - 1;
  for (size_t i = 0; i < count && i < kClasses; ++i) {
    const heap::ClassStats& entry = inner.classes[i + 1];
    classes[i] = {entry.block_bytes, entry.slabs, entry.live_blocks, entry.cached_blocks,
                  entry.free_blocks};
  }
  return kClasses;
}

size_t thread_stats_get(tide_thread_stats* threads, size_t count) {
  struct Output {
    tide_thread_stats* threads;
    size_t room;
    size_t total;
  } output{threads, count, 0};
  engine().visit_caches(
      [](const heap::ThreadStats& inner, void* argument) {
        auto& out = *static_cast<Output*>(argument);
        if (out.total++ >= out.room) return;
        out.threads[out.total - 1] = {static_cast<uint64_t>(inner.owner),
                                      static_cast<uint32_t>(inner.state), 0, inner.cached_bytes,
                                      inner.cached_blocks};
      },
      &output);
  return output.total;
}

size_t stats_into_buffer(tide_stats_format format, char* buffer, size_t bytes) {
  Bounded output{buffer, bytes == 0 ? 0 : bytes - 1, 0};
  {
    ReportWriter out(Bounded::take, &output);
    write_stats(format, out);
  }
  if (bytes != 0) buffer[output.total < output.room ? output.total : output.room] = '\0';
  return output.total;
}

int stats_write(tide_stats_format format, tide_writer write, void* argument) {
  Forwarded output{write, argument};
  ReportWriter out(Forwarded::take, &output);
  return write_stats(format, out) ? 0 : EINVAL;
}

int limits_set(size_t soft, size_t hard) {
  const auto value = [](size_t limit) { return limit == TIDE_LIMIT_AUTO ? kAuto : limit; };
  return set_limits(value(soft), value(hard)) == OptionFault::kNone ? 0 : EINVAL;
}

void limits_get(size_t* soft, size_t* hard) {
  const LimitBytes limits = limits_in_force();
  if (soft != nullptr) *soft = limits.soft;
  if (hard != nullptr) *hard = limits.hard;
}

int option_get(const char* name, char* buffer, size_t bytes) {
  const size_t i = find_option(name);
  if (i == kOptionCount) return ENOENT;
  CText<1024> value;
  options().format(static_cast<OptionId>(i), value.writer());
  if (value.writer().length() + 1 > bytes) return ERANGE;
  memcpy(buffer, value.finish(), value.writer().length() + 1);
  return 0;
}

int option_set(const char* name, const char* value) {
  switch (set_option(name, value)) {
    case OptionFault::kNone:
      return 0;
    case OptionFault::kUnknown:
      return ENOENT;
    case OptionFault::kIllFormed:
    case OptionFault::kOutOfRange:
      return EINVAL;
    case OptionFault::kFixed:
      return EPERM;
  }
  return EINVAL;
}

void option_list(tide_option_visitor visit, void* argument) {
  for (size_t i = 0; i < kOptionCount; ++i) {
    if (!visit_option(i, visit, argument)) return;
  }
}

}  // namespace tide::api
