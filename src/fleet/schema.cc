#include "fleet/schema.h"

#include <fmt/format.h>

#include <array>
#include <stdexcept>

namespace tide::fleet {
namespace {

using enum Type;

constexpr Column kHosts[] = {
    {"host", kText, "its name"},
    {"kernel", kText, "release of the kernel"},
    {"cpus", kInt64, "processors"},
    {"memory_bytes", kInt64, "memory of the machine"},
    {"seen_ns", kInt64, "when the agent began, since 1970"},
};

constexpr Column kProcesses[] = {
    {"process", kInt64, "number of the process in the fleet"},
    {"host", kText, ""},
    {"pid", kInt64, "the system's number"},
    {"command", kText, "the short name"},
    {"container", kText, "twelve digits of its number, or its name; empty: none"},
    {"cgroup", kText, "path of its control group"},
    {"pid_inside", kInt64, "its number in its own PID namespace"},
    {"service", kText, "TIDE_FLEET_SERVICE, else the unit of systemd, else the command"},
    {"version", kText, "TIDE_FLEET_VERSION, else the build-id of the program"},
    {"program", kText, "path"},
    {"tide_version", kText, "of the library"},
    {"seen_ns", kInt64, "when it was found, since 1970"},
};

constexpr Column kStacks[] = {
    {"stack", kInt64, "number of the call stack in the fleet, by its functions"},
    {"function", kText, "the innermost"},
    {"depth", kInt64, "frames"},
};

constexpr Column kFrames[] = {
    {"stack", kInt64, ""},
    {"position", kInt64, "0 is the innermost"},
    {"function", kText, "with its place, where that is known"},
};

#define TIDE_FLEET_LABELS                                                                        \
  {"time_ns", kInt64, "since 1970"}, {"host", kText, ""}, {"service", kText, "as in processes"}, \
      {"version", kText, "too"}, {"command", kText, "too"}, {"container", kText, "too"}, {       \
    "process", kInt64, "number in processes"                                                     \
  }

constexpr Column kStatistics[] = {
    TIDE_FLEET_LABELS,
    {"rss_bytes", kInt64, "resident, all of the process"},
#define TIDE_FIGURE(field, metric, meaning) {#field, kInt64, meaning},
#include "layout/figures.def"
#undef TIDE_FIGURE
};

constexpr Column kSizeClasses[] = {
    TIDE_FLEET_LABELS,
    {"block_bytes", kInt64, "of a block of the class"},
    {"slabs", kInt64, ""},
    {"live_blocks", kInt64, ""},
    {"cached_blocks", kInt64, "free, at hand for the threads"},
    {"free_blocks", kInt64, "free, in slabs"},
};

constexpr Column kProfiles[] = {
    TIDE_FLEET_LABELS,
    {"stack", kInt64, "number in stacks"},
    {"live_bytes", kInt64, "an estimate, as all that follow"},
    {"live_error_bytes", kInt64, "one standard deviation"},
    {"live_blocks", kInt64, ""},
    {"allocated_bytes", kInt64, "since sampling began"},
    {"allocated_blocks", kInt64, ""},
    {"peak_bytes", kInt64, "when the whole was highest"},
    {"samples", kInt64, "behind the estimate"},
    {"freed_bytes", kInt64, "since sampling began"},
    {"freed_blocks", kInt64, ""},
    {"lifetime_ns", kInt64, "of all of these together"},
    {"pages", kInt64, "what is known of pages: 0 nothing, 1 residency, 2 pins, too"},
    {"pinned_bytes", kInt64, "beyond the live ones on pages that live blocks keep"},
    {"resident_bytes", kInt64, "of the live ones"},
    {"swapped_bytes", kInt64, "likewise"},
    {"absent_bytes", kInt64, "likewise: never touched, or given back"},
};

constexpr Column kTraces[] = {
    {"trace", kInt64, "number of the trace in the fleet"},
    {"name", kText, "of its folder or file"},
    {"host", kText, "that sent it"},
    {"processes", kInt64, ""},
    {"events", kInt64, "rows in trace_events"},
    {"start_ns", kInt64, "when the recording began, since 1970; 0: not known"},
    {"time_ns", kInt64, "when it was sent, since 1970"},
};

constexpr Column kTraceProcesses[] = {
    {"trace", kInt64, ""},
    {"process", kInt64, "number in the trace"},
    {"pid", kInt64, ""},
    {"parent", kInt64, ""},
    {"program", kText, ""},
    {"ended", kText, "how, in words"},
    {"allocator", kText, ""},
    {"begin_ns", kInt64, "of the first event"},
    {"end_ns", kInt64, "of the last"},
    {"lost_events", kInt64, "that were not recorded"},
    {"unknown_releases", kInt64, "of blocks that were not recorded"},
    {"missed_releases", kInt64, "blocks whose address was given out again"},
    {"reordered_events", kInt64, ""},
    {"damaged_chunks", kInt64, "that were left out"},
    {"events", kInt64, "of the program"},
    {"allocations", kInt64, "that succeeded"},
    {"allocated_bytes", kInt64, ""},
    {"peak_bytes", kInt64, "most that was live"},
    {"leaked_bytes", kInt64, "live at the end"},
    {"time_ns", kInt64, "when the trace was sent"},
};

constexpr Column kTraceThreads[] = {
    {"trace", kInt64, ""},        {"process", kInt64, "number in the trace"},
    {"thread", kInt64, "number"}, {"tid", kInt64, "the system's number"},
    {"name", kText, ""},          {"time_ns", kInt64, "when the trace was sent"},
};

constexpr Column kTraceStacks[] = {
    {"trace", kInt64, ""},
    {"process", kInt64, "number in the trace"},
    {"number", kInt64, "as in trace_events"},
    {"stack", kInt64, "number in stacks"},
    {"time_ns", kInt64, "when the trace was sent"},
};

constexpr Column kTraceMemory[] = {
    {"trace", kInt64, ""},
    {"process", kInt64, "number in the trace"},
    {"number", kInt64, "from 1"},
    {"at_ns", kInt64, "since the recording began"},
    {"rss_bytes", kInt64, ""},
    {"vm_bytes", kInt64, ""},
    {"sample", kText, "anonymous bytes, most RSS since the sample before, ns of CPU time"},
    {"time_ns", kInt64, "when the trace was sent"},
};

constexpr Column kTraceMarkers[] = {
    {"trace", kInt64, ""},        {"process", kInt64, "number in the trace"},
    {"number", kInt64, "from 1"}, {"at_ns", kInt64, "since the recording began"},
    {"marker", kText, ""},        {"time_ns", kInt64, "when the trace was sent"},
};

constexpr Column kTraceCalls[] = {
    {"call", kInt64, "as in trace_events"},
    {"name", kText, "malloc, free, new, ..."},
};

constexpr Column kTraceEvents[] = {
    {"trace", kInt64, ""},
    {"process", kInt32, "number in the trace"},
    {"event", kInt64, "number in the process, from 1"},
    {"at_ns", kInt64, "since the recording began"},
    {"thread", kInt32, "number in the process, from 1"},
    {"call", kInt8, "number in trace_calls of the call that it counts as; 0: none"},
    {"kind", kInt8, "1 allocation, 2 release, 3 realloc, 4 release that was missed, 0 others"},
    {"is_own", kInt8, "1: something that the program did; 0: a look of the recorder"},
    {"came", kInt8, "1: a block came with it; 2: one that was live before the recording"},
    {"gone", kInt8, "1: a block went that is known"},
    {"is_foreign", kInt8, "1: that another thread had allocated"},
    {"is_temporary", kInt8, "1: that was the last which this thread had allocated"},
    {"is_null", kInt8, "1: a release of a null pointer"},
    {"failed", kInt8, "1: an allocation that failed"},
    {"path", kInt8, "that Tide took: 0 fast, 1 refill, 2 span, 3 system"},
    {"resized", kInt8, "of a realloc: 1 in place, 2 moved"},
    {"size_bin", kInt8, "of the block that came: 0 for 0 bytes, n from 2^(n-1) bytes on"},
    {"gone_bin", kInt8, "likewise, of the block that went"},
    {"lifetime_bin", kInt8, "likewise, of its nanoseconds; -1: its content lives on"},
    {"size", kInt64, "bytes that were asked for; of munmap, that went"},
    {"usable", kInt64, "bytes that the block has"},
    {"stack", kInt32, "that allocated it; number in trace_stacks, 0: none"},
    {"gone_size", kInt64, "of the block that went"},
    {"gone_stack", kInt32, "that had allocated it"},
    {"chain", kInt32, "of a realloc: how often the block has been reallocated"},
    {"pointer", kInt64, "address of the block"},
    {"live_bytes", kInt64, "of the process, after the event"},
};

#undef TIDE_FLEET_LABELS

constexpr std::array<Table, 15> kTables = {{
    {"hosts", "machines with an agent", kHosts, "host", "", false},
    {"processes", "processes that were seen", kProcesses, "process", "", false},
    {"stacks", "call stacks", kStacks, "stack", "", false},
    {"frames", "functions of call stacks", kFrames, "stack,position", "", false},
    {"statistics", "figures of heaps", kStatistics, "process,time_ns", "time_ns", true},
    {"size_classes", "size classes of heaps", kSizeClasses, "process,time_ns,block_bytes",
     "time_ns", true},
    {"profiles", "call stacks of processes that are sampled", kProfiles, "process,time_ns,stack",
     "time_ns", true},
    {"traces", "traces that are here whole", kTraces, "trace", "time_ns", true},
    {"trace_processes", "processes of traces", kTraceProcesses, "trace,process", "time_ns", true},
    {"trace_threads", "threads of traces", kTraceThreads, "trace,process,thread", "time_ns", true},
    {"trace_stacks", "call stacks of traces", kTraceStacks, "trace,process,number", "time_ns",
     true},
    {"trace_memory", "memory of processes over time", kTraceMemory, "trace,process,number",
     "time_ns", true},
    {"trace_markers", "texts that were put into traces", kTraceMarkers, "trace,process,number",
     "time_ns", true},
    {"trace_calls", "names of calls", kTraceCalls, "call", "", false},
    {"trace_events", "events of traces", kTraceEvents, "trace,process,event", "", true},
}};

}  // namespace

std::span<const Table> tables() { return kTables; }

size_t find_table(std::string_view name) {
  for (size_t i = 0; i < kTables.size(); ++i) {
    if (kTables[i].name == name) return i;
  }
  return SIZE_MAX;
}

size_t column_of(const Table& table, std::string_view name) {
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (table.columns[i].name == name) return i;
  }
  throw std::out_of_range(fmt::format("no column {} in {}", name, table.name));
}

}  // namespace tide::fleet
