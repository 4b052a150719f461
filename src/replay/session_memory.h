// The replayer's side of the memory that it shares with a player.
#pragma once

#include <cstdint>

#include "format/replay_session.h"
#include "host/file_descriptor.h"
#include "replay/pass.h"

namespace tide::replay {

class SessionMemory {
 public:
  SessionMemory(const WorkloadReader& workload, const Survey& survey, const Settings& settings,
                PassKind kind, uint64_t stop_at_ns);
  ~SessionMemory();
  SessionMemory(const SessionMemory&) = delete;
  SessionMemory& operator=(const SessionMemory&) = delete;

  int descriptor() const { return file_.get(); }
  uint64_t bytes() const { return layout_.bytes; }
  format::ReplaySession& head() const { return *head_; }
  uint32_t thread_count() const { return head_->threads * head_->copies; }
  const format::ReplayThread& thread(uint32_t index) const { return threads()[index]; }
  uint64_t slot_count() const { return uint64_t{head_->slots} * head_->copies; }
  const format::ReplaySlot* slots() const;
  const format::LatencyTable* latencies() const;

  uint64_t operations_done() const;
  // By how much live bytes have grown in a window.
  int64_t window_live(uint32_t window) const;
  // The player, which is ready, begins.
  void let_go();

 private:
  format::ReplayThread* threads() const;

  format::ReplaySession plan_;
  format::ReplayLayout layout_;
  host::FileDescriptor file_;
  uint8_t* memory_;
  format::ReplaySession* head_;
};

}  // namespace tide::replay
