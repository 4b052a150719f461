#include "trace/export_ctf.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "host/error.h"
#include "host/output_file.h"
#include "trace/ctf_events.h"

namespace tide::trace {

namespace fs = std::filesystem;

namespace {

constexpr size_t kPacketBytes = 64 << 10;
constexpr size_t kProcnameBytes = 17;  // LTTng's: 16 and a 0
constexpr size_t kMostText = 4096;
constexpr size_t kMostEventBytes = 12 + 4 + kProcnameBytes + 6 * 8 + kMostText + 1;
constexpr uint32_t kMagic = 0xC1FC1FC1;

// packet.header and packet.context, as the metadata has them. No gaps: all is aligned to bytes.
struct [[gnu::packed]] CtfPacketHead {
  uint32_t magic;
  uint8_t uuid[16];
  uint32_t stream_id;
  uint64_t stream_instance_id;
  uint64_t timestamp_begin;
  uint64_t timestamp_end;
  uint64_t content_size;  // bits
  uint64_t packet_size;   // bits
  uint64_t packet_seq_num;
  uint64_t events_discarded;
  int32_t tid;
};

constexpr const char* kMetadata = R"(/* CTF 1.8 */

typealias integer {{ size = 8; align = 8; signed = false; }} := uint8_t;
typealias integer {{ size = 32; align = 8; signed = false; }} := uint32_t;
typealias integer {{ size = 32; align = 8; signed = true; }} := int32_t;
typealias integer {{ size = 64; align = 8; signed = false; }} := uint64_t;
typealias integer {{ size = 64; align = 8; signed = false; base = 16; }} := hex64_t;

trace {{
  major = 1;
  minor = 8;
  uuid = "{0}";
  byte_order = le;
  packet.header := struct {{
    uint32_t magic;
    uint8_t uuid[16];
    uint32_t stream_id;
    uint64_t stream_instance_id;
  }};
}};

env {{
  hostname = "{1}";
  domain = "ust";
  tracer_name = "lttng-ust";
  tracer_major = 2;
  tracer_minor = 13;
  vpid = {2};
  procname = "{3}";
  exported_by = "tide";
}};

clock {{
  name = "monotonic";
  freq = 1000000000;
  offset_s = {4};
  offset = {5};
}};

typealias integer {{ size = 64; align = 8; signed = false; map = clock.monotonic.value; }}
  := stamp_t;

stream {{
  id = 0;
  packet.context := struct {{
    stamp_t timestamp_begin;
    stamp_t timestamp_end;
    uint64_t content_size;
    uint64_t packet_size;
    uint64_t packet_seq_num;
    uint64_t events_discarded;
    int32_t tid;
  }};
  event.header := struct {{
    stamp_t timestamp;
    uint32_t id;
  }};
  event.context := struct {{
    int32_t _vtid;
    integer {{ size = 8; align = 8; signed = true; encoding = UTF8; base = 10; }} _procname[17];
  }};
}};

)";

std::string uuid_text(const uint8_t* uuid) {
  std::string text;
  for (size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", uuid[i]);
  }
  return text;
}

// What may stand between quotes in metadata.
std::string plain(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' '; }, '?');
  return text;
}

}  // namespace

struct CtfExporter::Stream {
  uint32_t number = 0;
  int32_t tid = 0;
  char procname[kProcnameBytes] = {};
  std::vector<uint8_t> bytes;  // of the packet
  uint64_t begin_ns = 0;
  uint64_t end_ns = 0;
  uint64_t sequence = 0;
  uint64_t lost = 0;

  void put(const void* data, size_t size) {
    const auto* const from = static_cast<const uint8_t*>(data);
    bytes.insert(bytes.end(), from, from + size);
  }
};

CtfExporter::CtfExporter(std::string folder) : folder_(std::move(folder)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!error && !fs::is_empty(folder_, error) && !error) {
    throw host::Error(
        fmt::format("'{}' is not empty; a CTF trace needs a folder of its own", folder_));
  }
  if (error) throw host::Error(fmt::format("cannot make '{}': {}", folder_, error.message()));
  if (getrandom(uuid_, sizeof uuid_, 0) != sizeof uuid_) {
    throw host::Error(fmt::format("no random numbers: {}", std::strerror(errno)));
  }
  uuid_[6] = static_cast<uint8_t>((uuid_[6] & 0x0f) | 0x40);  // a random one, as RFC 4122 says it
  uuid_[8] = static_cast<uint8_t>((uuid_[8] & 0x3f) | 0x80);
}

CtfExporter::~CtfExporter() = default;

CtfExporter::Stream& CtfExporter::stream_of(const Event& event) {
  if (last_ != nullptr && last_thread_ == event.thread) return *last_;
  std::unique_ptr<Stream>& stream = streams_[event.thread];
  if (!stream) {
    stream = std::make_unique<Stream>();
    stream->number = event.thread;
    stream->tid = event.tid;
    procname_.copy(stream->procname, kProcnameBytes - 1);
  }
  last_thread_ = event.thread;
  return *(last_ = stream.get());
}

void CtfExporter::add(const Event& event) {
  if (event.call == Call::kProcess && !event.text.empty() && event.extras[0] == 0) {
    procname_ = event.text.substr(event.text.rfind('/') + 1);
  }
  Stream& stream = stream_of(event);
  if (event.call == Call::kThread && !event.text.empty()) {
    memset(stream.procname, 0, kProcnameBytes);
    event.text.copy(stream.procname, kProcnameBytes - 1);
  }
  if (event.call == Call::kNote && event.extras[0] == static_cast<uint64_t>(format::Note::kLost)) {
    stream.lost += event.extras[1];
  }
  // A block from before the recording comes as if it were allocated now.
  const bool is_live_note =
      event.call == Call::kNote && event.extras[0] == static_cast<uint64_t>(format::Note::kLive);
  const Call call = is_live_note ? Call::kMalloc : event.call;
  const CtfEvent& known = ctf_event(call);
  if (known.name == nullptr) return;
  if (stream.bytes.size() + kMostEventBytes > kPacketBytes) write_packet(stream);
  if (stream.bytes.empty()) {
    stream.bytes.resize(sizeof(CtfPacketHead));
    stream.begin_ns = event.time_ns;
  }
  stream.end_ns = event.time_ns;
  const auto id = static_cast<uint32_t>(call);
  stream.put(&event.time_ns, sizeof event.time_ns);
  stream.put(&id, sizeof id);
  stream.put(&stream.tid, sizeof stream.tid);
  stream.put(stream.procname, kProcnameBytes);
  for (const CtfField& field : known.fields) {
    uint64_t value = 0;
    switch (field.value) {
      case CtfValue::kEnd:
        return;
      case CtfValue::kSize:
        value = event.size;
        break;
      case CtfValue::kElementSize:
        value = event.extras[0] == 0 ? event.size : event.size / event.extras[0];
        break;
      case CtfValue::kPointer:
        value = event.pointer;
        break;
      case CtfValue::kOldPointer:
        value = event.old_pointer;
        break;
      case CtfValue::kText:
        stream.put(event.text.data(),
                   std::min({event.text.size(), kMostText, event.text.find('\0')}));
        stream.bytes.push_back(0);
        continue;
      case CtfValue::kCallName: {
        const std::string_view name = format::call_name(call);
        stream.put(name.data(), name.size());
        stream.bytes.push_back(0);
        continue;
      }
      default:
        value =
            event.extras[static_cast<size_t>(field.value) - static_cast<size_t>(CtfValue::kExtra0)];
        break;
    }
    stream.put(&value, sizeof value);
  }
}

void CtfExporter::write_packet(Stream& stream) {
  if (stream.bytes.empty()) return;
  CtfPacketHead head{};
  head.magic = kMagic;
  memcpy(head.uuid, uuid_, sizeof uuid_);
  head.stream_instance_id = stream.number;
  head.timestamp_begin = stream.begin_ns;
  head.timestamp_end = stream.end_ns;
  head.content_size = head.packet_size = stream.bytes.size() * 8;
  head.packet_seq_num = stream.sequence++;
  head.events_discarded = stream.lost;
  head.tid = stream.tid;
  memcpy(stream.bytes.data(), &head, sizeof head);
  // Opened anew each time: there may be more threads than descriptors.
  const std::string path = fmt::format("{}/thread_{}", folder_, stream.number);
  std::FILE* const file = std::fopen(path.c_str(), "abe");
  const bool is_written =
      file != nullptr &&
      std::fwrite(stream.bytes.data(), 1, stream.bytes.size(), file) == stream.bytes.size();
  const int error = errno;
  if (file == nullptr || std::fclose(file) != 0 || !is_written) {
    throw host::Error(
        fmt::format("cannot write '{}': {}", path, std::strerror(is_written ? errno : error)));
  }
  stream.bytes.clear();
}

void CtfExporter::write_metadata(const ProcessIdentity& process) {
  char hostname[256] = {};
  gethostname(hostname, sizeof hostname - 1);
  host::OutputFile file(folder_ + "/metadata");
  file.write(fmt::format(fmt::runtime(kMetadata), uuid_text(uuid_), plain(hostname), process.pid,
                         plain(process.program.substr(process.program.rfind('/') + 1)),
                         process.start_ns / 1'000'000'000, process.start_ns % 1'000'000'000));
  file.write(ctf_event_metadata());
  file.close();
}

void CtfExporter::finish(const EventSource& source) {
  // What was lost without a note of where.
  uint64_t noted = 0;
  for (const auto& [thread, stream] : streams_) noted += stream->lost;
  if (source.process().lost_events > noted && !streams_.empty()) {
    streams_.begin()->second->lost += source.process().lost_events - noted;
  }
  for (const auto& [thread, stream] : streams_) write_packet(*stream);
  write_metadata(source.process());
}

}  // namespace tide::trace
