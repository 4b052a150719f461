#include "report/workload_section.h"

#include <fmt/format.h>

#include "host/byte_text.h"
#include "host/number_text.h"
#include "report/call_plots.h"
#include "report/size_labels.h"

namespace tide::report {
namespace {

Json memory_plot(const std::string& id, const replay::WorkloadReader& workload,
                 const trace::Timeline& timeline) {
  std::vector<Curve> curves = {{"Live bytes (ideal)", 0, live_curve(timeline), "", false, true}};
  Points rss;
  Points vm;
  for (const format::WorkloadSample& sample : workload.samples()) {
    const auto time = static_cast<double>(sample.time_ns);
    rss.emplace_back(time, static_cast<double>(sample.rss_bytes));
    vm.emplace_back(time, static_cast<double>(sample.vm_bytes));
  }
  if (!rss.empty()) {
    curves.push_back({"RSS as recorded", 1, std::move(rss)});
    curves.push_back({"VmSize as recorded", 2, std::move(vm), "", true});
  }
  return lines({id + "-memory", "Memory over time",
                "What the workload has live; RSS is the recorded program's. Click a name to switch "
                "it, drag the strip below to zoom."},
               time_axis(), {"bytes", "bytes"}, curves, true);
}

Json threads_table(const std::string& id, const replay::WorkloadReader& workload,
                   const WorkloadReading& reading) {
  Json rows = Json::array();
  for (size_t i = 0; i < reading.threads.size(); ++i) {
    const format::WorkloadThread& thread = workload.threads()[i];
    const WorkloadThreadFigures& figures = reading.threads[i];
    rows.push_back({fmt::format("thread {}", thread.number), thread.operations, figures.allocations,
                    figures.allocated_bytes, figures.releases, figures.foreign_releases,
                    figures.waits, thread.begin_ns, thread.end_ns - thread.begin_ns});
  }
  return table({id + "-threads", "Threads and hand-overs",
                "Foreign releases are of blocks that another thread made; for those, and for slots "
                "that another thread emptied, a thread waits."},
               {{"thread", "text"},
                {"operations", "count"},
                {"allocations", "count"},
                {"bytes", "bytes"},
                {"releases", "count"},
                {"foreign", "count"},
                {"waits", "count"},
                {"begins at", "ns"},
                {"runs for", "ns"}},
               rows);
}

}  // namespace

Section workload_section(const std::string& id, const std::string& name,
                         const replay::WorkloadReader& workload, const WorkloadReading& reading) {
  const format::WorkloadHead& head = workload.head();
  Section section;
  section.id = id;
  section.kind = "Workload";
  section.title = name;
  section.lead = workload.program();
  if (!workload.allocator().empty()) {
    section.lead += (section.lead.empty() ? "" : " · ") + ("recorded on " + workload.allocator());
  }
  section.fact("operations", head.operations, "count");
  section.fact("threads", head.threads, "count");
  section.fact("duration", head.duration_ns, "ns");
  section.fact("peak, live", head.peak_bytes, "bytes");
  section.fact("peak, blocks", head.peak_blocks, "count");
  section.fact("left at the end", head.live_bytes, "bytes");
  section.fact("handed over", head.handed_over, "count");
  if (head.rss_max_bytes != 0) section.fact("max RSS as recorded", head.rss_max_bytes, "bytes");
  const double parallelism = format::recorded_parallelism(head);
  if (parallelism > 0) section.fact("threads at once", parallelism, "number");
  if (head.lost_events != 0) {
    section.notes.push_back(host::grouped(head.lost_events) +
                            " events were lost when it was recorded: the figures are too small.");
  }
  section.answer.push_back(fmt::format(
      "{} does {} in {} on {}: at most {} live in {}, {} handed from one thread to another.", name,
      counted(head.operations, "operation"), host::duration_text(head.duration_ns),
      counted(head.threads, "thread"), host::byte_text(head.peak_bytes),
      counted(head.peak_blocks, "block"), counted(head.handed_over, "block")));
  section.items.push_back(memory_plot(id, workload, reading.timeline));
  if (!reading.heat.columns().empty()) section.items.push_back(heat_plot(id, reading.heat));
  Json sizes = size_bars({id + "-sizes", "Sizes", "How much is asked for at once."}, reading.sizes);
  Json lifetimes = lifetime_bars({id + "-lifetimes", "Lifetimes", "Of blocks that are released."},
                                 reading.lifetimes);
  sizes["half"] = lifetimes["half"] = true;
  section.items.push_back(std::move(sizes));
  section.items.push_back(std::move(lifetimes));
  section.items.push_back(size_by_lifetime(id, reading.heat));
  section.items.push_back(threads_table(id, workload, reading));
  section.items.push_back(calls_table(id, reading.calls));
  return section;
}

}  // namespace tide::report
