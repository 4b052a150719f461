// write_trace FOLDER EVENTS THREADS SEED [LIVE]: writes a trace of a made-up program and prints
// what is in it, as JSON.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "format/trace_call.h"
#include "tests/unit/trace/history.h"
#include "tests/unit/trace/trace_file_maker.h"

using tide::format::Call;
using tide::trace::Happening;
using tide::trace::HistoryMaker;

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  const std::filesystem::path folder = std::filesystem::path(argv[1]) / "1-made-up";
  const auto number = [&](int at, uint64_t otherwise) {
    return at < argc ? std::strtoull(argv[at], nullptr, 10) : otherwise;
  };
  std::filesystem::create_directories(folder);
  HistoryMaker maker({.seed = number(4, 1),
                      .threads = static_cast<uint32_t>(number(3, 1)),
                      .most_live = number(5, 10'000)});
  {
    tide::trace::TraceFileMaker file((folder / "events.tide").string());
    const auto put = [&](const Happening& event) { file.put(event); };
    for (uint64_t i = 0; i < number(2, 0); ++i) maker.step(put);
    maker.finish(100, put);
  }
  std::ofstream(folder / "process.json") << "{\"number\": 1, \"process_id\": 4711, \"parent_id\": "
                                            "1, \"executable\": \"/bin/made-up\"}\n";
  std::ofstream(folder.parent_path() / "trace.json") << "{}\n";
  const HistoryMaker::Count& count = maker.count();
  std::printf("{\"calls\": {");
  const char* comma = "";
  for (const auto& [call, calls] : count.calls) {
    const std::string name(tide::format::call_name(call));
    std::printf("%s\"%s\": %llu", comma, name.c_str(), static_cast<unsigned long long>(calls));
    comma = ", ";
  }
  const auto field = [](const char* name, uint64_t value) {
    std::printf(", \"%s\": %llu", name, static_cast<unsigned long long>(value));
  };
  std::printf("}");
  field("allocations", count.allocations);
  field("allocated_bytes", count.allocated_bytes);
  field("leaked_bytes", count.live_bytes);
  field("leaked_blocks", count.live_blocks);
  field("peak_bytes", count.peak_bytes);
  field("foreign_releases", count.foreign_releases);
  field("moved", count.moved);
  field("in_place", count.in_place);
  std::printf("}\n");
  return 0;
}
