// What the collector itself has to say, in the stream of a thread 0 that every process has: what
// was asked for from outside, the memory of the programs, blocks from before the recording.
#include "trace/collector.h"
#include "trace/memory_samples.h"

namespace tide::trace {

// A note about all goes into the stream of a thread 0 that every process has.
void Collector::write_notes() {
  std::vector<Note> notes;
  {
    const std::lock_guard lock(mutex_);
    notes.swap(notes_);
  }
  if (notes.empty()) return;
  for (auto& [number, live] : live_) {
    write_samples(live, sampler_.take(number));
    for (const Note& note : notes) {
      note_records_.add(live.process->note_tick(arena_.read_clock().tick), note.kind, 0, 0,
                        note.text);
    }
    write_note_records(*live.process, notes.size());
  }
}

// So does what the process had. Programs that record nothing get no folder for it.
void Collector::write_samples(LiveProcess& live,
                              const std::vector<ProcessSampler::Sample>& samples) {
  if (!live.process->has_folder()) return;
  for (const ProcessSampler::Sample& sample : samples) {
    note_records_.add(live.process->note_tick(sample.tick), format::Note::kMemory,
                      sample.memory.rss, sample.memory.vm, sample_text(sample.memory));
    if (note_records_.view().records.size() > format::kPacketBytes) {
      write_note_records(*live.process, 0);
    }
  }
  write_note_records(*live.process, 0);
}

// Once in a while.
void Collector::write_all_samples(Haste haste) {
  const auto now = std::chrono::steady_clock::now();
  if (haste == Haste::kNone && now - samples_written_ < kLongestStay) return;
  samples_written_ = now;
  for (auto& [number, live] : live_) {
    if (live.process->has_folder()) write_samples(live, sampler_.take(number));
  }
}

void Collector::write_note_records(TracedProcess& process, uint64_t events) {
  if (note_records_.empty()) return;
  const PacketView view = note_records_.view();
  format::ChunkHead head{};
  stored_.clear();
  encoder_.encode({&view, 1}, stored_, head);
  head.sequence = process.next_note();
  if (!has_failed_) append(process, head, 0, events);
  note_records_.clear();
}

void Collector::write_known_blocks(LiveProcess& live) {
  const uint64_t tick = live.process->first_tick();
  for (const KnownBlock& block : known_blocks_) {
    note_records_.add(live.process->note_tick(tick), format::Note::kLive, block.address,
                      block.bytes, {});
    if (note_records_.view().records.size() > format::kPacketBytes) {
      write_note_records(*live.process, 0);
    }
  }
  write_note_records(*live.process, 0);
  known_blocks_ = {};
}

// Where another program runs in the process now, what is of that one is left out.
std::vector<ProcessSampler::Sample> Collector::last_samples(const TracedProcess& process,
                                                            TracedProcess::End end) {
  std::vector<ProcessSampler::Sample> samples = sampler_.finish(process.number());
  if (end != TracedProcess::End::kExecuted) return samples;
  for (const auto& [number, live] : live_) {
    if (number <= process.number() || live.process->pid() != process.pid()) continue;
    const uint64_t first = live.process->first_tick();
    std::erase_if(samples, [first](const auto& sample) { return sample.tick >= first; });
  }
  return samples;
}

}  // namespace tide::trace
