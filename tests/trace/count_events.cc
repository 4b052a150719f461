// Counts what is in a trace's events.tide: one line a call, "malloc 12"; samples of memory are not
// counted. `--salvage` passes over what is broken. Checks what has to hold in every file: packets
// and times of a thread in order.
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "host/error.h"
#include "trace/chunk_codec.h"
#include "trace/events_file.h"

int main(int argc, char** argv) {
  using namespace tide;
  const bool salvages = argc > 2 && std::strcmp(argv[2], "--salvage") == 0;
  using Mode = trace::EventsFile::Mode;
  try {
    const trace::EventsFile file(argv[1], salvages ? Mode::kSalvage : Mode::kStrict);
    std::map<std::string, uint64_t> counts;
    struct Thread {
      uint32_t sequence = 0;
      uint64_t tick = 0;
    };
    std::map<uint32_t, Thread> threads;
    trace::ChunkDecoder decoder;
    std::vector<uint8_t> stored;
    for (const trace::EventsFile::Chunk& chunk : file.chunks()) {
      Thread& thread = threads[chunk.head.thread];
      if (!salvages && chunk.head.sequence != thread.sequence) {
        std::printf("disorder: packet %u of thread %u\n", chunk.head.sequence, chunk.head.thread);
      }
      thread.sequence = chunk.head.sequence + chunk.head.packets;
      file.read(chunk, stored);
      decoder.open(chunk.head, stored);
      format::Record record;
      while (decoder.next(record)) {
        const bool is_sample = record.call == format::Call::kNote &&
                               record.extras[0] == static_cast<uint64_t>(format::Note::kMemory);
        if (!is_sample) ++counts[std::string(format::call_name(record.call))];
        if (record.tick < thread.tick) ++counts["disorder: time"];
        thread.tick = record.tick;
      }
    }
    for (const auto& [name, count] : counts) {
      std::printf("%s: %llu\n", name.c_str(), static_cast<unsigned long long>(count));
    }
  } catch (const host::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
