// A collector for tests: makes an arena, runs a program with it, takes its packets, and writes what
// was in them as JSON. Everything stays in memory; how the real one does it is in src/trace.
//
// Where a process gives markers "begin" and "end", its calls and blocks are those between them.
//
// usage: trace_collector [OPTION=VALUE]... OUT.json PROGRAM [ARGUMENT]...
//   packets=N          packets of the arena (2048)
//   stacks=none|fp|unwind, depth=N
//   drop=1             programs do not wait
//   system=0           no system calls
//   lazy=MS            sleep that long between two looks (0)
//   usable=0           no usable sizes
//   keep=0             packets are thrown away: to measure what recording costs the program
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "format/record_reader.h"
#include "format/trace_arena.h"

using namespace tide::format;

namespace {

struct Packet {
  uint32_t sequence;
  uint64_t first_tick;
  std::vector<uint8_t> records;
};

struct Process {
  int32_t pid = 0;
  int32_t parent = 0;
  uint64_t lost = 0;
  std::map<uint32_t, std::vector<Packet>> threads;
};

std::map<std::string, std::string> g_options{
    {"packets", "2048"}, {"stacks", "none"}, {"depth", "16"}, {"drop", "0"},
    {"system", "1"},     {"lazy", "0"},      {"usable", "1"}, {"keep", "1"}};
uint64_t option(const char* name) { return strtoull(g_options.at(name).c_str(), nullptr, 10); }

TraceArena* g_arena;
std::map<uint32_t, Process> g_processes;

ProcessSlot* slots() {
  return reinterpret_cast<ProcessSlot*>(reinterpret_cast<char*>(g_arena) + g_arena->processes);
}
std::atomic<PacketState>* states() {
  return reinterpret_cast<std::atomic<PacketState>*>(reinterpret_cast<char*>(g_arena) +
                                                     g_arena->packet_states);
}
PacketHead* packet(uint32_t index) {
  return reinterpret_cast<PacketHead*>(reinterpret_cast<char*>(g_arena) + g_arena->packets +
                                       uint64_t{index} * g_arena->packet_bytes);
}

int make_arena() {
  const uint32_t packets = static_cast<uint32_t>(option("packets"));
  TraceArena head{};
  head.magic = kArenaMagic;
  head.version = kArenaVersion;
  head.flags = (option("usable") ? kWithUsableSizes : 0u) | (option("drop") ? kDropWhenFull : 0u) |
               (option("system") ? kWithSystemCalls : 0u);
  head.packet_bytes = kPacketBytes;
  head.packet_count = packets;
  head.process_count = 64;
  head.clock = Clock::kMonotonic;
#if defined(__x86_64__)
  head.clock = Clock::kTsc;
#endif
  head.tick_shift = head.clock == Clock::kTsc ? 2 : 0;
  const std::string stacks = g_options.at("stacks");
  head.stacks = stacks == "fp"       ? StackKind::kFramePointers
                : stacks == "unwind" ? StackKind::kUnwinder
                                     : StackKind::kNone;
  head.stack_depth = static_cast<uint32_t>(option("depth"));
  head.collector = 1;
  head.processes = 4096;
  head.packet_states = head.processes + 64 * sizeof(ProcessSlot);
  head.packets = (head.packet_states + packets * 4 + 4095) / 4096 * 4096;
  head.bytes = head.packets + uint64_t{packets} * kPacketBytes;
  const int memory = memfd_create("trace", 0);
  if (memory < 0 || ftruncate(memory, static_cast<off_t>(head.bytes)) != 0) abort();
  g_arena = static_cast<TraceArena*>(
      mmap(nullptr, head.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory, 0));
  memcpy(static_cast<void*>(g_arena), &head, sizeof head);
  return memory;
}

void take(uint32_t index) {
  PacketHead* const head = packet(index);
  ProcessSlot& slot = slots()[head->process];
  Process& process = g_processes[head->process_number];
  if (slot.number == head->process_number) {
    process.pid = slot.pid;
    process.parent = slot.parent;
    process.lost = slot.lost.load();
  }
  const auto* const records = reinterpret_cast<const uint8_t*>(head + 1);
  if (option("keep") != 0)
    process.threads[head->thread].push_back(
        {head->sequence, head->first_tick, {records, records + head->committed.load()}});
  head->process_number = 0;
  states()[index].store(PacketState::kFree, std::memory_order_release);
  slot.packets.fetch_sub(1);
  g_arena->freed.fetch_add(1);
}

bool drain() {
  bool found = false;
  for (uint32_t i = 0; i < g_arena->packet_count; ++i) {
    if (states()[i].load(std::memory_order_acquire) != PacketState::kFull) continue;
    take(i);
    found = true;
  }
  return found;
}

void answer() {
  for (uint32_t i = 0; i < g_arena->process_count; ++i) {
    ProcessSlot& slot = slots()[i];
    const uint64_t asked = slot.requests.load();
    if (slot.answers.load() >= asked) continue;
    drain();
    slot.answers.store(asked);
  }
}

// Processes that are gone make room for others.
void bury() {
  for (uint32_t i = 0; i < g_arena->process_count; ++i) {
    ProcessSlot& slot = slots()[i];
    const ProcessState state = slot.state.load(std::memory_order_acquire);
    const bool is_gone =
        state == ProcessState::kEnded || (state == ProcessState::kLive && kill(slot.pid, 0) != 0);
    if (!is_gone) continue;
    for (uint32_t k = 0; k < g_arena->packet_count; ++k) {
      if (states()[k].load(std::memory_order_acquire) != PacketState::kFree &&
          packet(k)->process_number == slot.number) {
        take(k);
      }
    }
    g_processes[slot.number].lost = slot.lost.load();
    slot.state.store(ProcessState::kFree, std::memory_order_release);
  }
}

void write_process(FILE* out, uint32_t number, Process& process) {
  struct Entry {
    uint64_t tick;
    uint32_t thread;
    Record record;
    uint64_t old_pointer, wanted;
    Call intent;
  };
  std::vector<Entry> entries;
  std::map<std::string, uint64_t> calls;
  uint64_t bytes = 0, stacks = 0, with_stack = 0, longest = 0, noted_lost = 0, gaps = 0, broken = 0;
  std::string notes, program;
  for (auto& [thread, packets] : process.threads) {
    std::sort(packets.begin(), packets.end(),
              [](const Packet& a, const Packet& b) { return a.sequence < b.sequence; });
    uint32_t expected = 0;
    uint64_t known = 0, old_pointer = 0, wanted = 0;
    Call intent = Call::kNone;
    for (const Packet& p : packets) {
      gaps += p.sequence != expected;
      expected = p.sequence + 1;
      bytes += p.records.size();
      RecordReader reader(p.records.data(), p.records.size(), p.first_tick);
      Record record;
      while (reader.next(record)) {
        with_stack += record.stack != 0;
        if (record.stack > known) ++broken;
        switch (record.call) {
          case Call::kStack:
            ++known;
            ++stacks;
            longest = std::max(longest, record.extras[0]);
            break;
          case Call::kRealloc:
          case Call::kReallocarray:
            old_pointer = record.pointer;
            wanted = record.call == Call::kRealloc ? record.size : record.size * record.extras[0];
            intent = record.call;
            break;
          case Call::kProcess:
            if (record.extras[0] == 0) program = record.text;
            notes += "\"process " + std::to_string(record.extras[0]) + " " +
                     std::to_string(record.extras[1]) + "\",";
            break;
          case Call::kNote:
            if (record.extras[0] == static_cast<uint64_t>(Note::kLost)) {
              noted_lost += record.extras[1];
            }
            notes += "\"note " + std::to_string(record.extras[0]) + " " + std::string(record.text) +
                     "\",";
            break;
          default:
            break;
        }
        entries.push_back({record.tick, thread, record, old_pointer, wanted, intent});
      }
      broken += reader.broken();
    }
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.tick < b.tick; });
  const auto marker = [&](const char* name) {
    return std::find_if(entries.begin(), entries.end(), [&](const Entry& e) {
      return e.record.call == Call::kNote && e.record.extras[0] == 0 && e.record.text == name;
    });
  };
  if (marker("begin") != entries.end()) {
    entries.erase(marker("end"), entries.end());
    entries.erase(entries.begin(), marker("begin") + 1);
  }
  for (const Entry& e : entries) ++calls[std::string(call_name(e.record.call))];
  // The sizes that came at an address, and how many of them went. Clocks of two CPUs differ by a
  // little, so a block's end may seem to come before its beginning.
  struct Address {
    std::vector<uint64_t> sizes;
    size_t gone = 0;
  };
  std::unordered_map<uint64_t, Address> addresses;
  uint64_t short_blocks = 0;
  uint64_t paths[kPathCount] = {};
  const auto go = [&](uint64_t pointer) {
    if (pointer != 0) ++addresses[pointer].gone;
  };
  const auto come = [&](uint64_t pointer, uint64_t size) {
    if (pointer != 0) addresses[pointer].sizes.push_back(size);
  };
  for (const Entry& e : entries) {
    const Record& r = e.record;
    if (allocates(r.call) && r.pointer != 0) {
      ++paths[static_cast<size_t>(r.path) % kPathCount];
    }
    if (r.call == Call::kReallocDone) {
      if (r.pointer != 0 || e.wanted == 0) go(e.old_pointer);
      come(r.pointer, e.wanted);
    } else if (allocates(r.call)) {
      come(r.pointer, r.call == Call::kCalloc ? r.size * r.extras[0] : r.size);
      short_blocks += r.pointer != 0 && r.usable < r.size;
    } else if (releases(r.call)) {
      go(r.pointer);
    }
  }
  size_t live = 0;
  uint64_t live_bytes = 0, unknown_frees = 0, double_blocks = 0;
  for (const auto& [pointer, address] : addresses) {
    unknown_frees += address.gone > address.sizes.size() ? address.gone - address.sizes.size() : 0;
    double_blocks += address.sizes.size() > address.gone + 1;
    for (size_t i = address.gone; i < address.sizes.size(); ++i) {
      ++live;
      live_bytes += address.sizes[i];
    }
  }
  fprintf(out,
          "{\"number\": %u, \"pid\": %d, \"parent\": %d, \"lost\": %lu, \"noted_lost\": %lu, "
          "\"program\": \"%s\", \"threads\": %zu, \"bytes\": %lu, \"stacks\": %lu, "
          "\"with_stack\": %lu, \"longest\": %lu, \"gaps\": %lu, \"broken\": %lu, "
          "\"live_blocks\": %zu, \"live_bytes\": %lu, \"unknown_frees\": %lu, "
          "\"double_blocks\": %lu, \"short_blocks\": %lu, \"paths\": [%lu, %lu, %lu, %lu], "
          "\"notes\": [%s\"\"], \"calls\": {",
          number, process.pid, process.parent, process.lost, noted_lost, program.c_str(),
          process.threads.size(), bytes, stacks, with_stack, longest, gaps, broken, live,
          live_bytes, unknown_frees, double_blocks, short_blocks, paths[0], paths[1], paths[2],
          paths[3], notes.c_str());
  const char* separator = "";
  for (const auto& [name, count] : calls) {
    fprintf(out, "%s\"%s\": %lu", separator, name.c_str(), count);
    separator = ", ";
  }
  fprintf(out, "}}");
}

bool any_alive() {
  for (uint32_t i = 0; i < g_arena->process_count; ++i) {
    ProcessSlot& slot = slots()[i];
    if (slot.state.load() == ProcessState::kLive && kill(slot.pid, 0) == 0) return true;
  }
  return false;
}

}  // namespace

int main(int count, char** arguments) {
  int at = 1;
  for (; at < count && strchr(arguments[at], '=') != nullptr; ++at) {
    const std::string text = arguments[at];
    const size_t equal = text.find('=');
    g_options.at(text.substr(0, equal)) = text.substr(equal + 1);
  }
  const char* const output = arguments[at++];
  const int memory = make_arena();
  struct stat file;
  fstat(memory, &file);
  const uint64_t identity =
      (static_cast<uint64_t>(file.st_dev) << 40) ^ static_cast<uint64_t>(file.st_ino) ^ 1;
  const std::string address = "/proc/" + std::to_string(getpid()) + "/fd/" +
                              std::to_string(memory) + ":" + std::to_string(memory) + ":" +
                              std::to_string(identity);
  const pid_t child = fork();
  if (child == 0) {
    setenv(kArenaVariable, address.c_str(), 1);
    setenv("LD_PRELOAD", getenv("TRACE_PRELOAD"), 1);
    execvp(arguments[at], arguments + at);
    _exit(127);
  }
  int status = 0;
  bool ended = false;
  while (!ended || any_alive()) {
    answer();
    bury();
    if (!drain()) std::this_thread::sleep_for(std::chrono::microseconds(200));
    std::this_thread::sleep_for(std::chrono::milliseconds(option("lazy")));
    ended = ended || waitpid(child, &status, WNOHANG) == child;
  }
  bury();
  FILE* const out = fopen(output, "w");
  fprintf(out, "{\"status\": %d, \"arena_lost\": %lu, \"processes\": [", status,
          g_arena->lost.load());
  const char* separator = "";
  for (auto& [number, process] : g_processes) {
    fprintf(out, "%s\n", separator);
    write_process(out, number, process);
    separator = ",";
  }
  fprintf(out, "]}\n");
  fclose(out);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
