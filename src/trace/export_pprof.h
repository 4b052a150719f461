// A profile that `pprof`, `go tool pprof` and servers of profiles read, with the sample types of
// Go's heap profiles.
#pragma once

#include <string>

#include "trace/exporter.h"
#include "trace/summary.h"

namespace tide::trace {

class PprofExporter : public Exporter {
 public:
  explicit PprofExporter(std::string path) : path_(std::move(path)) {}
  void add(const Event& event) override { summary_.add(event); }
  void finish(const EventSource& source) override;

 private:
  std::string path_;
  Summary summary_;
};

}  // namespace tide::trace
