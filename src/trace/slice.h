// A part of a source's time. What is live at its start comes first, as Note::kLive.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "trace/event_source.h"
#include "trace/live_table.h"

namespace tide::trace {

struct TimeRange {
  uint64_t begin_ns = 0;
  uint64_t end_ns = UINT64_MAX;
};

// "5s..10s", "250ms..", "..1.5": seconds where no unit is named. Throws host::Error for what is no
// such thing.
TimeRange parse_time_range(std::string_view text);

class Slice : public EventSource {
 public:
  Slice(std::unique_ptr<EventSource> inner, TimeRange range);

  const Event* next() override;
  const LiveTable& live() const override { return inner_->live(); }
  const StackTable& stacks() const override { return inner_->stacks(); }
  const SymbolTable& symbols() const override { return inner_->symbols(); }
  const ProcessIdentity& process() const override { return inner_->process(); }
  Oddities oddities() const override { return inner_->oddities(); }
  double progress() const override { return inner_->progress(); }

 private:
  struct Introduced {
    Block block;
    uint32_t slot;
  };
  void begin(const Event& first);
  const Event* introduce();

  std::unique_ptr<EventSource> inner_;
  TimeRange range_;
  std::map<uint32_t, Introduced> moving_;  // by thread
  std::vector<Introduced> introduced_;
  const Event* first_ = nullptr;  // that comes after those
  bool has_begun_ = false;
  Event event_{};
};

}  // namespace tide::trace
