#include "api/exit_report.h"

#include "api/options.h"
#include "api/prometheus.h"
#include "api/report.h"
#include "base/compiler.h"
#include "sys/process.h"
#include "sys/report.h"

namespace tide::api {

namespace {

constexpr int kStandardError = 2;

// The whole report goes out in one write, so that those of several processes do not mix in one
// file. Static, because exit may run on a thread with a tiny stack; costs no memory until it is
// used.
constexpr size_t kReportBytes = 32 * 1024;
TIDE_LARGE constinit char g_report[kReportBytes] = {};

// Standard error as it was at the start; -1 and 0 when it is not needed.
constinit int g_kept_descriptor = -1;
constinit uint64_t g_identity = 0;

StatsFormat wanted_format() { return static_cast<StatsFormat>(options().number(OptionId::stats)); }

// Standard error, or what was kept of it; -1: gone, both. A program may have closed either and have
// got the number again for a file of its own.
int standard_error() {
  if (g_identity == 0) return -1;
  if (sys::file_identity(kStandardError) == g_identity) return kStandardError;
  return sys::file_identity(g_kept_descriptor) == g_identity ? g_kept_descriptor : -1;
}

struct Collected {
  base::TextWriter text{g_report, kReportBytes};
  int descriptor;

  static void take(void* argument, std::string_view piece) {
    auto& self = *static_cast<Collected*>(argument);
    if (self.text.length() + piece.size() > kReportBytes) self.flush();
    self.text.text(piece);
  }
  bool flush() {
    const bool done = sys::write_all(descriptor, text.view());
    text = base::TextWriter(g_report, kReportBytes);
    return done;
  }
};

void warn_unwritable(const char* path) {
  base::TextBuffer<480> line;
  line.text("can't write the statistics to '").text(path).text("'; check the option stats_file");
  sys::warn(line.view());
}

}  // namespace

void prepare_exit_report() {
  if (wanted_format() == StatsFormat::kOff || options().text()[0] != '\0' || g_identity != 0)
    return;
  g_identity = sys::file_identity(kStandardError);
  if (g_identity != 0) g_kept_descriptor = sys::duplicate_high(kStandardError);
}

void write_exit_report() {
  const StatsFormat format = wanted_format();
  if (format == StatsFormat::kOff || sys::is_secure_execution()) return;
  Collected report;
  report.descriptor = standard_error();
  base::TextBuffer<2048> path;
  const bool to_file = options().text()[0] != '\0';
  if (to_file) {
    sys::expand_path(options().text(), path);
    report.descriptor = sys::open_for_append(path.view().data());
    if (report.descriptor < 0) return warn_unwritable(path.view().data());
  }
  if (report.descriptor < 0) return;
  {
    ReportWriter out(Collected::take, &report);
    switch (format) {
      case StatsFormat::kJson:
        write_stats_json(out);
        out.put('\n');
        break;
      case StatsFormat::kPrometheus:
        write_stats_prometheus(out);
        break;
      default:
        write_stats_text(out);
    }
  }
  const bool done = report.flush();
  if (!to_file) return;
  sys::close_descriptor(report.descriptor);
  if (!done) warn_unwritable(path.view().data());
}

}  // namespace tide::api
