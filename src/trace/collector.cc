#include "trace/collector.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "host/byte_text.h"
#include "host/error.h"
#include "host/proc.h"
#include "trace/events_file.h"
#include "trace/symbolizer.h"

namespace tide::trace {

using format::Control;
using format::PacketState;
using format::ProcessSlot;
using format::ProcessState;
using End = TracedProcess::End;
using SteadyClock = std::chrono::steady_clock;

namespace {

// What is packed at once: more packs little better.
constexpr uint64_t kChunkBytes = 4 << 20;
static_assert(kChunkBytes + format::kPacketBytes < format::kMostRecordBytes);
// Between two looks: when packets come all the time, and when none does.
constexpr uint64_t kBusyNs = 10'000'000;
constexpr uint64_t kQuietNs = 200'000'000;
// For threads that were in the middle of a record when they were told to stop.
constexpr std::chrono::milliseconds kLastRecord{20};

Bytes bytes_of(const auto& structure) {
  return {reinterpret_cast<const uint8_t*>(&structure), sizeof structure};
}

}  // namespace

Collector::Collector(ArenaOwner& arena, TraceOutput& output, CollectorSettings settings)
    : arena_(arena), output_(output), settings_(std::move(settings)), sampler_(arena) {
  write_trace_file(false);
}

void Collector::started(int32_t pid) {
  const std::lock_guard lock(mutex_);
  main_pid_ = pid;
}

void Collector::ended(int wait_status) {
  {
    const std::lock_guard lock(mutex_);
    is_main_over_ = true;
    main_status_ = wait_status;
  }
  arena_.wake();
}

void Collector::attached(int32_t process, std::vector<KnownBlock> blocks) {
  attached_pid_ = process;
  known_blocks_ = std::move(blocks);
  is_main_over_ = true;
}

void Collector::stop(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_reason_.empty()) stop_reason_ = why;
    must_stop_ = true;
  }
  arena_.set_control(Control::kStop);
  arena_.wake();
}

void Collector::note(format::Note kind, const std::string& text) {
  {
    const std::lock_guard lock(mutex_);
    notes_.push_back({kind, text});
  }
  arena_.wake();
}

void Collector::pause() {
  arena_.set_control(Control::kPause);
  note(format::Note::kPause, {});
}

void Collector::resume() {
  arena_.set_control(Control::kRecord);
  note(format::Note::kResume, {});
}

void Collector::reset() { note(format::Note::kReset, {}); }
void Collector::mark(const std::string& text) { note(format::Note::kMarker, text); }

void Collector::sync() {
  std::unique_lock lock(mutex_);
  const uint64_t mine = ++syncs_asked_;
  arena_.wake();
  answered_.wait(lock, [&] { return syncs_answered_ >= mine || is_done_; });
}

CollectorFigures Collector::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

void Collector::run() {
  for (;;) {
    const uint32_t filled = arena_.arena().filled.load();
    uint64_t asked;
    bool is_main_over;
    {
      const std::lock_guard lock(mutex_);
      if (must_stop_) break;
      asked = syncs_asked_;
      is_main_over = is_main_over_;
    }
    const bool was_busy = pass(asked != syncs_answered_ ? Haste::kAll : Haste::kNone);
    if (is_main_over && live_.empty()) break;
    if (asked != syncs_answered_) {
      const std::lock_guard lock(mutex_);
      syncs_answered_ = asked;
      answered_.notify_all();
      continue;
    }
    if (full_packets_ * 4 > arena_.arena().packet_count) continue;
    arena_.wait(filled, was_busy ? kBusyNs : kQuietNs, !was_busy);
  }
  finish();
}

// Whether there were packets at all.
bool Collector::pass(Haste haste) {
  look_for_processes();
  write_notes();
  write_all_samples(haste);
  const std::vector<Packet> packets = packets_to_take();
  if (full_packets_ * 4 > arena_.arena().packet_count) haste = Haste::kAll;
  for (auto first = packets.begin(); first != packets.end();) {
    const auto last = std::find_if(first, packets.end(), [&](const Packet& packet) {
      return packet.number != first->number || packet.thread != first->thread;
    });
    take_thread(live_.at(first->number), {first, last}, haste);
    first = last;
  }
  end_processes();
  uint64_t lost = lost_by_ended_ + arena_.arena().lost.load(std::memory_order_relaxed);
  for (const auto& [number, live] : live_) {
    ProcessSlot& slot = arena_.slot(live.process->slot_index());
    lost += slot.lost.load(std::memory_order_relaxed);
    if (live.requests != 0) slot.answers.store(live.requests, std::memory_order_release);
  }
  const std::lock_guard lock(mutex_);
  figures_.lost = lost;
  figures_.bytes = output_.bytes();
  figures_.live = live_.size();
  return !packets.empty();
}

void Collector::look_for_processes() {
  for (uint32_t i = 0; i < arena_.arena().process_count; ++i) {
    ProcessSlot& slot = arena_.slot(i);
    const ProcessState state = slot.state.load(std::memory_order_acquire);
    if (state != ProcessState::kLive && state != ProcessState::kEnded) continue;
    LiveProcess& live = live_[slot.number];
    if (live.process == nullptr) {
      live.process = std::make_unique<TracedProcess>(i, slot, arena_.process_of(slot));
      {
        const std::lock_guard lock(mutex_);
        ++figures_.processes;
      }
      live.process->set_root(root_of(live.process->pid()));
      if (live.process->pid() != slot.pid) set_parent_of(*live.process, slot);
      if (live.process->pid() == attached_pid_) write_known_blocks(live);
    }
    // Before its packets are looked at: these are all that there will be.
    if (state == ProcessState::kEnded) {
      live.end = End::kExecuted;
    } else if (is_over(*live.process)) {
      live.end = End::kGone;
    }
    const uint64_t requests = slot.requests.load(std::memory_order_acquire);
    const bool is_new = requests > slot.answers.load(std::memory_order_relaxed);
    live.requests = is_new ? requests : 0;
  }
}

// Of one in another PID namespace its slot says the parent's number there.
void Collector::set_parent_of(TracedProcess& process, const ProcessSlot& slot) const {
  for (const auto& [number, live] : live_) {
    if (number != slot.number && live.process->is(slot.parent, slot.pid_namespace)) {
      return process.set_parent(live.process->shown_pid());
    }
  }
  const std::string status = host::Proc().try_read(process.pid(), "status").value_or("");
  process.set_parent(static_cast<int32_t>(host::field_value(status, "PPid").value_or(0)));
}

// Null: the process sees the files that this one does.
std::shared_ptr<const host::ProcessRoot> Collector::root_of(int32_t pid) {
  const host::Proc proc;
  const std::string view = host::ProcessRoot::view_of(proc, pid);
  if (view.empty() || view == host::ProcessRoot::view_of(proc, getpid())) return nullptr;
  std::shared_ptr<const host::ProcessRoot>& root = roots_[view];
  if (root == nullptr) root = std::make_shared<host::ProcessRoot>(proc, pid);
  return root;
}

bool Collector::is_over(const TracedProcess& process) const {
  const std::lock_guard lock(mutex_);
  // Its parent is here, and knows more.
  return process.pid() == main_pid_ ? is_main_over_ : process.is_gone();
}

// Sorted by process, thread and sequence.
std::vector<Collector::Packet> Collector::packets_to_take() {
  std::vector<Packet> result;
  full_packets_ = 0;
  for (uint32_t i = 0; i < arena_.arena().packet_count; ++i) {
    const PacketState state = arena_.packet_state(i).load(std::memory_order_acquire);
    if (state == PacketState::kFree) continue;
    const format::PacketHead& head = arena_.packet(i);
    const uint32_t number = __atomic_load_n(&head.process_number, __ATOMIC_ACQUIRE);
    const auto live = live_.find(number);
    if (state == PacketState::kFull) ++full_packets_;
    if (live != live_.end()) {
      if (state == PacketState::kFull || live->second.end != End::kNot) {
        result.push_back({number, head.thread, head.sequence, i});
      }
    } else if (state == PacketState::kFull && over_numbers_.contains(number)) {
      // Of a process that had been given up.
      arena_.free_packet(i);
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

// `packets` are of one thread.
void Collector::take_thread(LiveProcess& live, std::span<const Packet> packets, Haste haste) {
  TracedThread& thread = live.process->threads()[packets.front().thread];
  const bool is_end = live.end != End::kNot;
  // The scan may have come by a packet before it was full, and by the next one after.
  size_t count = packets.size();
  if (!is_end) {
    uint32_t sequence = thread.next_sequence;
    count = 0;
    while (count < packets.size() && packets[count].sequence == sequence) ++count, ++sequence;
  }
  packets = packets.first(count);
  if (packets.empty()) return;

  const auto now = SteadyClock::now();
  if (!thread.waits) thread.waits_since = now;
  thread.waits = true;
  constexpr size_t kAtOnce = kChunkBytes / format::kPacketBytes;
  const bool takes_all = is_end || haste == Haste::kAll || live.requests != 0 ||
                         now - thread.waits_since >= kLongestStay;
  while (packets.size() >= kAtOnce || (takes_all && !packets.empty())) {
    const size_t part = std::min(packets.size(), kAtOnce);
    write_chunk(*live.process, packets.first(part));
    thread.next_sequence = packets[part - 1].sequence + 1;
    packets = packets.subspan(part);
    thread.waits_since = now;
  }
  thread.waits = !packets.empty();
}

void Collector::write_chunk(TracedProcess& process, std::span<const Packet> packets) {
  views_.clear();
  for (const Packet& packet : packets) {
    const format::PacketHead& head = arena_.packet(packet.index);
    const uint32_t bytes =
        std::min<uint32_t>(head.committed.load(std::memory_order_acquire),
                           format::kPacketBytes - static_cast<uint32_t>(sizeof head));
    views_.push_back({head.first_tick, {reinterpret_cast<const uint8_t*>(&head + 1), bytes}});
  }
  const format::PacketHead& first = arena_.packet(packets.front().index);
  ProcessSlot& slot = arena_.slot(process.slot_index());
  if (!has_failed_) {
    format::ChunkHead head{};
    stored_.clear();
    encoder_.encode(views_, stored_, head,
                    [&](const format::Record& record) { process.watch(record); });
    head.thread = first.thread;
    head.tid = first.tid;
    head.sequence = first.sequence;
    if (head.records != 0)
      append(process, head, slot.lost.load(std::memory_order_relaxed), head.records);
  }
  for (const Packet& packet : packets) arena_.free_packet(packet.index);
  slot.packets.fetch_sub(static_cast<uint32_t>(packets.size()), std::memory_order_relaxed);
  arena_.announce_free();
}

void Collector::append(TracedProcess& process, format::ChunkHead& head, uint64_t lost,
                       uint64_t events) {
  const ClockReading seen = arena_.read_clock();
  head.seen_tick = seen.tick;
  head.seen_ns = seen.monotonic_ns;
  head.lost = lost;
  seal(head);
  try {
    const bool is_first = !process.has_folder();
    const std::string name = process.folder() + '/' + format::kEventsFile;
    if (is_first) {
      format::FileHead file{};
      memcpy(file.magic, format::kTraceMagic, sizeof file.magic);
      file.version = format::kTraceVersion;
      file.head_bytes = sizeof file;
      file.number = process.number();
      file.pid = process.pid();
      file.clock = static_cast<uint32_t>(arena_.arena().clock);
      file.tick_shift = arena_.arena().tick_shift;
      file.first_tick = arena_.first_reading().tick;
      file.first_ns = arena_.first_realtime_ns();
      file.ns_per_tick = arena_.ns_per_tick();
      file.packet_bytes = format::kPacketBytes;
      output_.put(process.folder() + '/' + format::kProcessFile,
                  process.describe(lost).dump(1) + '\n');
      output_.append(name, bytes_of(file), {});
    }
    output_.append(name, bytes_of(head), stored_);
  } catch (const host::Error& error) {
    return fail(error.what());
  }
  process.count(events, head.record_bytes, sizeof head + head.stored_bytes);
  if (settings_.most_bytes != 0 && output_.bytes() >= settings_.most_bytes) {
    stop(fmt::format("it has {}", host::byte_text(output_.bytes())));
  }
  const std::lock_guard lock(mutex_);
  figures_.events += events;
  figures_.record_bytes += head.record_bytes;
}

void Collector::end_processes() {
  for (auto at = live_.begin(); at != live_.end();) {
    LiveProcess& live = at->second;
    if (live.end == End::kNot) {
      ++at;
      continue;
    }
    finish_process(live);
    ProcessSlot& slot = arena_.slot(live.process->slot_index());
    lost_by_ended_ += slot.lost.load(std::memory_order_relaxed);
    slot.state.store(ProcessState::kFree, std::memory_order_release);
    over_numbers_.insert(at->first);
    over_.push_back(std::move(live.process));
    at = live_.erase(at);
  }
}

void Collector::finish_process(LiveProcess& live) {
  TracedProcess& process = *live.process;
  {
    const std::lock_guard lock(mutex_);
    figures_.threads += process.threads().size();
    if (process.pid() == main_pid_ && is_main_over_ && live.end == End::kGone) {
      process.set_status(main_status_);
    }
  }
  process.set_end(live.end);
  write_samples(live, last_samples(process, live.end));
  const uint64_t lost = arena_.slot(process.slot_index()).lost.load(std::memory_order_relaxed);
  try {
    const std::string& folder = process.folder();
    folders_.push_back(folder);
    output_.put(folder + '/' + format::kProcessFile, process.describe(lost).dump(1) + '\n');
    output_.close(folder + '/' + format::kEventsFile);
  } catch (const host::Error& error) {
    fail(error.what());
  }
}

void Collector::finish() {
  if (!live_.empty()) {
    arena_.set_control(Control::kStop);
    std::this_thread::sleep_for(kLastRecord);
  }
  look_for_processes();
  for (auto& [number, live] : live_) {
    if (live.end == End::kNot) live.end = End::kLeft;
  }
  pass(Haste::kAll);
  try {
    host::SymbolCache cache;
    for (const auto& process : over_) {
      if (process->modules().empty() || has_failed_) continue;
      output_.put(process->folder() + '/' + format::kSymbolsFile,
                  symbols_of(*process, cache).dump() + '\n');
    }
    write_trace_file(true);
    output_.finish();
  } catch (const host::Error& error) {
    fail(error.what());
  }
  const std::lock_guard lock(mutex_);
  if (stop_reason_.empty()) figures_.unrecorded = unrecorded();
  is_done_ = true;
  answered_.notify_all();
}

std::vector<std::string> Collector::unrecorded() const {
  std::vector<std::string> result;
  for (const auto& process : over_) {
    if (const std::string program = process->unrecorded_program(); !program.empty()) {
      result.push_back(fmt::format("{} ({})", program, process->pid()));
    }
    for (const auto& [pid, program] : process->spawned()) {
      const bool is_here = std::any_of(over_.begin(), over_.end(), [pid = pid](const auto& other) {
        return static_cast<uint64_t>(other->number_inside()) == pid;
      });
      if (!is_here) result.push_back(fmt::format("{} ({})", program, pid));
    }
  }
  return result;
}

void Collector::write_trace_file(bool is_complete) {
  nlohmann::ordered_json trace = settings_.about;
  trace["version"] = format::kTraceVersion;
  trace["started_ns"] = arena_.first_realtime_ns();
  trace["clock"] = {{"kind", arena_.arena().clock == format::Clock::kTsc ? "tsc" : "monotonic"},
                    {"tick_shift", arena_.arena().tick_shift},
                    {"first_tick", arena_.first_reading().tick},
                    {"first_monotonic_ns", arena_.first_reading().monotonic_ns},
                    {"ns_per_tick", arena_.ns_per_tick()}};
  trace["state"] = is_complete ? "complete" : "recording";
  if (is_complete) {
    const ClockReading now = arena_.read_clock();
    trace["clock"]["last_tick"] = now.tick;
    trace["clock"]["last_monotonic_ns"] = now.monotonic_ns;
    const std::lock_guard lock(mutex_);
    if (!stop_reason_.empty()) trace["stopped"] = stop_reason_;
    trace["events"] = figures_.events;
    trace["lost"] = figures_.lost;
    trace["threads"] = figures_.threads;
    trace["processes"] = folders_;
  }
  output_.put(format::kTraceFile, trace.dump(1) + '\n');
}

// The first error ends the trace, and only that; what programs have handed in is let go.
void Collector::fail(const std::string& message) {
  if (has_failed_) return;
  has_failed_ = true;
  {
    const std::lock_guard lock(mutex_);
    figures_.has_failed = true;
  }
  if (settings_.report) {
    settings_.report(message + "; the trace ends here, the program goes on");
  }
  stop(message);
}

}  // namespace tide::trace
