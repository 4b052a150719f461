// Call stacks with what they cost, a line each, as flame graphs are made of: "main;f;g 4711".
#pragma once

#include <string>
#include <string_view>

#include "host/output_file.h"
#include "trace/exporter.h"
#include "trace/summary.h"

namespace tide::trace {

enum class StackValue { kAllocated, kLive, kPeak, kTemporary, kCalls };

class FoldedExporter : public Exporter {
 public:
  FoldedExporter(const std::string& path, StackValue value) : file_(path), value_(value) {}
  void add(const Event& event) override { summary_.add(event); }
  // Throws host::Error when no stacks were recorded.
  void finish(const EventSource& source) override;

 private:
  host::OutputFile file_;
  StackValue value_;
  Summary summary_;
};

}  // namespace tide::trace
