// A CTF 1.8 trace: a folder with `metadata` and a stream for each thread. Names and fields of the
// malloc family are those of LTTng's libc wrapper, so that its viewers know them: operator new is a
// malloc there, too, with a field more that says what it was. Other calls are events of the
// provider `tide`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "trace/exporter.h"

namespace tide::trace {

class CtfExporter : public Exporter {
 public:
  // The folder is made; throws host::Error when there is something in it already.
  explicit CtfExporter(std::string folder);
  ~CtfExporter() override;

  void add(const Event& event) override;
  void finish(const EventSource& source) override;

 private:
  struct Stream;

  Stream& stream_of(const Event& event);
  void write_packet(Stream& stream);
  void write_metadata(const ProcessIdentity& process);

  std::string folder_;
  std::map<uint32_t, std::unique_ptr<Stream>> streams_;
  Stream* last_ = nullptr;
  uint32_t last_thread_ = 0;
  uint8_t uuid_[16];
  std::string procname_;  // of threads without a name of their own
};

}  // namespace tide::trace
