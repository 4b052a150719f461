// What `tide info` and `tide convert` read: a file or folder, told by its content, as processes
// with their events.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trace/event_source.h"
#include "trace/slice.h"
#include "trace/trace_reader.h"

namespace tide::cli {

enum class InputKind { kTrace, kImport, kWorkload, kCore, kUnknown };

// By the first bytes, or by what is in the folder. Throws host::Error when it is not there.
InputKind kind_of(const std::string& path);

class TraceInput {
 public:
  struct Options {
    bool salvage = false;
    std::optional<uint32_t> process;  // by number, else by the system's
    std::optional<trace::TimeRange> slice;
    std::string format;  // empty: by content
  };

  // Throws host::Error when there is nothing of the kind.
  TraceInput(const std::string& path, const Options& options);

  size_t processes() const { return import_format_.empty() ? chosen_.size() : 1; }
  std::unique_ptr<trace::EventSource> open(size_t index) const;

 private:
  std::string path_;
  Options options_;
  std::string import_format_;                   // empty: a trace of our own
  std::vector<trace::TraceProcess> processes_;  // all of them
  std::vector<size_t> chosen_;
};

}  // namespace tide::cli
