// Events as comma-separated values: a row for each, its columns in the first line. The two halves
// of a realloc or mremap are one row, at the time of the second.
#pragma once

#include <string>
#include <unordered_map>

#include "host/output_file.h"
#include "trace/exporter.h"

namespace tide::trace {

class CsvExporter : public Exporter {
 public:
  explicit CsvExporter(const std::string& path);
  void add(const Event& event) override;
  void finish(const EventSource& source) override;

 private:
  void number(uint64_t value);
  void address(uint64_t value);
  void text(std::string_view value);

  host::OutputFile file_;
  std::string row_;
  std::unordered_map<uint32_t, Call> began_;  // by thread: realloc or reallocarray
};

}  // namespace tide::trace
