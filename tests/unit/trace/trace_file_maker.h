// Writes an events.tide of any number of threads.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "format/trace_file.h"
#include "format/trace_record.h"
#include "tests/unit/trace/history.h"
#include "trace/chunk_codec.h"
#include "trace/events_file.h"

namespace tide::trace {

class TraceFileMaker {
 public:
  // A tick is `ns_per_tick` long.
  explicit TraceFileMaker(const std::string& path, double ns_per_tick = 1)
      : out_(path, std::ios::binary), ns_per_tick_(ns_per_tick) {
    format::FileHead head{};
    memcpy(head.magic, format::kTraceMagic, sizeof head.magic);
    head.version = format::kTraceVersion;
    head.head_bytes = sizeof head;
    head.number = 1;
    head.pid = 4711;
    head.first_ns = 1'700'000'000'000'000'000;
    head.ns_per_tick = ns_per_tick;
    head.packet_bytes = kPacket;
    out_.write(reinterpret_cast<const char*>(&head), sizeof head);
  }
  ~TraceFileMaker() { finish(); }

  void put(const Happening& event) {
    Thread& thread = threads_[event.thread];
    if (thread.left() < 4096) close_packet(event.thread, thread);
    if (thread.cursor.at == nullptr) thread.start(event.tick);
    format::put_record(thread.cursor, event.call, event.tick, event.pointer, event.size,
                       event.slack, event.detail);
    for (const uint64_t extra : event.extras) {
      thread.cursor.at = format::put_varint(thread.cursor.at, extra);
    }
  }
  // With a text behind the extras.
  void put(const Happening& event, const std::string& text) {
    put(event);
    uint8_t*& at = threads_[event.thread].cursor.at;
    at = format::put_varint(at, text.size());
    for (const char c : text) *at++ = static_cast<uint8_t>(c);
  }
  void put_stack(uint32_t thread, uint64_t tick, const std::vector<uint64_t>& frames) {
    Happening event{.thread = thread, .tick = tick, .call = format::Call::kStack};
    event.extras.push_back(frames.size());
    uint64_t last = 0;
    for (const uint64_t frame : frames) {
      event.extras.push_back(format::zigzag(frame - last));
      last = frame;
    }
    put(event);
  }
  void finish() {
    for (auto& [number, thread] : threads_) {
      close_packet(number, thread);
      write(number, thread);
    }
    out_.flush();
  }

 private:
  static constexpr uint32_t kPacket = 32 << 10;
  static constexpr size_t kPacketsInChunk = 32;

  struct Packet {
    uint64_t first_tick;
    std::vector<uint8_t> bytes;
  };
  struct Thread {
    std::vector<uint8_t> memory = std::vector<uint8_t>(kPacket + 64);
    format::RecordCursor cursor{nullptr, 0, 0};
    uint64_t first_tick = 0;
    uint64_t last_tick = 0;
    uint32_t sequence = 0;
    std::vector<Packet> packets;

    size_t used() const {
      return cursor.at == nullptr ? 0 : static_cast<size_t>(cursor.at - memory.data());
    }
    size_t left() const { return kPacket - used(); }
    void start(uint64_t tick) {
      first_tick = tick;
      cursor = {memory.data(), tick, 0};
    }
  };

  void close_packet(uint32_t number, Thread& thread) {
    if (thread.used() == 0) return;
    const auto begin = thread.memory.begin();
    thread.packets.push_back(
        {thread.first_tick, {begin, begin + static_cast<std::ptrdiff_t>(thread.used())}});
    thread.last_tick = thread.cursor.last_tick;
    thread.cursor.at = nullptr;
    if (thread.packets.size() == kPacketsInChunk) write(number, thread);
  }
  void write(uint32_t number, Thread& thread) {
    if (thread.packets.empty()) return;
    std::vector<PacketView> views;
    for (const Packet& packet : thread.packets) views.push_back({packet.first_tick, packet.bytes});
    format::ChunkHead head{};
    stored_.clear();
    encoder_.encode(views, stored_, head);
    head.thread = number;
    head.tid = static_cast<int32_t>(4710 + number);
    head.sequence = thread.sequence;
    thread.sequence += head.packets;
    head.seen_tick = thread.last_tick;
    head.seen_ns = static_cast<uint64_t>(static_cast<double>(thread.last_tick) * ns_per_tick_);
    seal(head);
    out_.write(reinterpret_cast<const char*>(&head), sizeof head);
    out_.write(reinterpret_cast<const char*>(stored_.data()),
               static_cast<std::streamsize>(stored_.size()));
    thread.packets.clear();
  }

  std::ofstream out_;
  double ns_per_tick_;
  ChunkEncoder encoder_;
  std::vector<uint8_t> stored_;
  std::map<uint32_t, Thread> threads_;
};

}  // namespace tide::trace
