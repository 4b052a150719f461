// Takes the records of traced programs out of their arena and writes the trace.
//
// run() is for one thread and everything else here may be called by another one meanwhile. What a
// program has recorded is written when there is enough of it to pack well, when it has waited for
// a second, when the arena fills up, and when somebody asks.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/mapped_files.h"
#include "trace/arena_owner.h"
#include "trace/chunk_codec.h"
#include "trace/note_records.h"
#include "trace/process_sampler.h"
#include "trace/trace_output.h"
#include "trace/traced_process.h"

namespace tide::trace {

struct CollectorSettings {
  uint64_t most_bytes = 0;  // 0: no limit
  // Of what trace.json is to say about the whole, what the collector does not know.
  nlohmann::ordered_json about;
  std::function<void(const std::string&)> report;  // one line for the user
};

// A block that a program had before it was recorded.
struct KnownBlock {
  uint64_t address;
  uint64_t bytes;  // usable
};

// So far.
struct CollectorFigures {
  uint64_t events = 0;
  uint64_t bytes = 0;
  uint64_t record_bytes = 0;
  uint64_t lost = 0;
  uint64_t processes = 0;
  uint64_t threads = 0;
  uint64_t live = 0;  // processes
  // At the end: what was executed or started and is not in the trace.
  std::vector<std::string> unrecorded;
  bool has_failed = false;
};

class Collector {
 public:
  // Writes trace.json; throws host::Error.
  Collector(ArenaOwner& arena, TraceOutput& output, CollectorSettings settings);

  // Until the program that was started has ended and all that it started, or until stop().
  void run();

  // The process that was started, and how it ended.
  void started(int32_t pid);
  void ended(int wait_status);
  // Before run(): no program was started, only processes of the arena's slots are waited for;
  // `process` has `blocks` from before the recording.
  void attached(int32_t process, std::vector<KnownBlock> blocks);
  // Ends the recording; programs go on. `why` is for trace.json.
  void stop(const std::string& why);

  void pause();
  void resume();
  void reset();
  void mark(const std::string& text);
  // Waits until everything that has been handed in is in the files.
  void sync();

  CollectorFigures figures() const;

 private:
  struct Packet {
    uint32_t number;  // of its process
    uint32_t thread;
    uint32_t sequence;
    uint32_t index;
    auto operator<=>(const Packet&) const = default;
  };
  struct LiveProcess {
    std::unique_ptr<TracedProcess> process;
    TracedProcess::End end = TracedProcess::End::kNot;
    uint64_t requests = 0;  // for a sync
  };
  struct Note {
    format::Note kind;
    std::string text;
  };
  enum class Haste { kNone, kAll };
  // How long anything waits to be written.
  static constexpr std::chrono::milliseconds kLongestStay{1000};

  bool pass(Haste haste);
  void look_for_processes();
  void set_parent_of(TracedProcess& process, const format::ProcessSlot& slot) const;
  std::shared_ptr<const host::ProcessRoot> root_of(int32_t pid);
  bool is_over(const TracedProcess& process) const;
  std::vector<Packet> packets_to_take();
  void take_thread(LiveProcess& live, std::span<const Packet> packets, Haste haste);
  void write_chunk(TracedProcess& process, std::span<const Packet> packets);
  void write_notes();
  void write_samples(LiveProcess& live, const std::vector<ProcessSampler::Sample>& samples);
  void write_all_samples(Haste haste);
  std::vector<ProcessSampler::Sample> last_samples(const TracedProcess& process,
                                                   TracedProcess::End end);
  void write_known_blocks(LiveProcess& live);
  // `events`: how many of them count as such.
  void write_note_records(TracedProcess& process, uint64_t events);
  void append(TracedProcess& process, format::ChunkHead& head, uint64_t lost, uint64_t events);
  void end_processes();
  void finish_process(LiveProcess& live);
  void finish();
  std::vector<std::string> unrecorded() const;
  void write_trace_file(bool is_complete);
  void fail(const std::string& message);
  void note(format::Note kind, const std::string& text);

  ArenaOwner& arena_;
  TraceOutput& output_;
  CollectorSettings settings_;
  ProcessSampler sampler_;
  ChunkEncoder encoder_;
  NoteRecords note_records_;
  std::vector<uint8_t> stored_;
  std::vector<PacketView> views_;
  std::map<uint32_t, LiveProcess> live_;  // by number
  // By ProcessRoot::view_of().
  std::map<std::string, std::shared_ptr<const host::ProcessRoot>> roots_;
  std::vector<std::unique_ptr<TracedProcess>> over_;
  std::vector<std::string> folders_;
  std::unordered_set<uint32_t> over_numbers_;
  int32_t attached_pid_ = 0;
  std::vector<KnownBlock> known_blocks_;
  uint64_t full_packets_ = 0;
  uint64_t lost_by_ended_ = 0;
  bool has_failed_ = false;
  std::chrono::steady_clock::time_point samples_written_{};

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable answered_;
  CollectorFigures figures_;
  std::vector<Note> notes_;
  std::string stop_reason_;
  uint64_t syncs_asked_ = 0;
  uint64_t syncs_answered_ = 0;
  int32_t main_pid_ = 0;
  bool is_main_over_ = false;
  int main_status_ = 0;
  bool must_stop_ = false;
  bool is_done_ = false;
};

}  // namespace tide::trace
