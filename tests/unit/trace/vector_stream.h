// Events that are known beforehand, as a thread or a whole source.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "tests/unit/trace/history.h"
#include "trace/imported.h"
#include "trace/merge.h"

namespace tide::trace {

class VectorStream : public Importer {
 public:
  explicit VectorStream(std::vector<Event> events) : events_(std::move(events)) {}
  bool next(Event& event) override {
    if (at_ == events_.size()) return false;
    event = events_[at_++];
    return true;
  }
  double progress() const override { return 0; }

 private:
  std::vector<Event> events_;
  size_t at_ = 0;
};

inline Event event_of(const Happening& from) {
  Event event{};
  event.call = from.call;
  event.thread = from.thread;
  event.time_ns = from.tick;
  event.pointer = from.pointer;
  event.size = from.size;
  if (from.call == Call::kCalloc) event.size *= from.extras[0];
  event.usable = from.size + from.slack;
  for (size_t i = 0; i < from.extras.size(); ++i) event.extras[i] = from.extras[i];
  return event;
}

// A history as a source, in one stream.
inline std::unique_ptr<EventSource> source_of(std::vector<Event> events) {
  return std::make_unique<Imported>(std::make_unique<ImportContext>(),
                                    std::make_unique<VectorStream>(std::move(events)));
}

}  // namespace tide::trace
