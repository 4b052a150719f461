// Who writes events in another form. One pass, in the order of an EventSource.
#pragma once

#include "trace/event_source.h"

namespace tide::trace {

class Exporter {
 public:
  virtual ~Exporter() = default;
  virtual void add(const Event& event) = 0;
  // After the last event.
  virtual void finish(const EventSource& source) = 0;
};

}  // namespace tide::trace
