// `tide heap X dump [SIZE]`: the contents of blocks, into files by size.

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/dump_files.h"
#include "cli/heap_contents.h"
#include "cli/heap_json.h"
#include "cli/heap_questions.h"
#include "host/byte_text.h"
#include "host/error.h"

namespace tide::cli {
namespace {

constexpr const char* kUsualFolder = "heap-dump";

// A line that replaces itself, on a terminal only.
class Progress {
 public:
  explicit Progress(uint64_t total)
      : total_(total), is_shown_(host::Terminal(STDERR_FILENO).is_terminal()) {}
  ~Progress() {
    if (was_shown_) fmt::print(stderr, "\r\033[K");
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add(uint64_t bytes) {
    done_ += bytes;
    if (!is_shown_ || done_ - shown_ < kStep) return;
    shown_ = done_;
    was_shown_ = true;
    fmt::print(stderr, "\rdump: {} of {}\033[K", host::byte_text(done_), host::byte_text(total_));
    std::fflush(stderr);
  }

 private:
  static constexpr uint64_t kStep = 64 << 20;
  uint64_t total_;
  uint64_t done_ = 0;
  uint64_t shown_ = 0;
  bool is_shown_;
  bool was_shown_ = false;
};

uint64_t bytes_to_dump(const HeapSession& session) {
  uint64_t bytes = 0;
  for (const auto& heap : session.heaps) {
    for (const walk::SizeRow& row : heap->summary().rows) {
      if (session.is_wanted(row.bytes)) bytes += row.live_bytes;
    }
  }
  return bytes;
}

int run(HeapSession& session, const Arguments& arguments) {
  VerbParser parser(kHeapCommand, {});
  std::string size;
  std::string folder = kUsualFolder;
  bool may_replace = false;
  parser.add_option("SIZE", size);
  parser.add_option("-o,--output", folder);
  parser.add_flag("--force", may_replace);
  if (!parser.accept(arguments)) return host::kExitOk;
  take_size(session, kDumpQuestion, size);

  DumpFiles files(folder, may_replace);
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  uint64_t missing = 0;
  walk::Unknown unknown;
  {
    Progress progress(bytes_to_dump(session));
    for (const auto& heap : session.heaps) {
      const walk::Unknown here = heap->for_each_block([&](std::span<const walk::Block> batch) {
        for (const walk::Block& block : batch) {
          if (!session.is_wanted(block.bytes)) continue;
          missing += files.add(*session.target, block.address, block.bytes);
          ++blocks;
          bytes += block.bytes;
          progress.add(block.bytes);
        }
        return true;
      });
      unknown.add(here);
    }
    files.finish();
  }
  if (session.as_json) {
    print(json_line({{"folder", folder},
                     {"files", files.count()},
                     {"blocks", blocks},
                     {"bytes", bytes},
                     {"missing_bytes", missing}}));
  } else {
    print(fmt::format("{} blocks, {} bytes, in {} files of '{}'; where each is: {}/index.ndjson\n",
                      grouped_text(blocks), grouped_text(bytes), grouped_text(files.count()),
                      folder, folder));
  }
  if (missing != 0) {
    fmt::print(stderr,
               "tide heap: {} bytes of blocks could not be read and are zeros in the dump\n",
               missing);
  }
  warn_of_unknown(session, unknown);
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kDumpQuestion = {
    "dump", "[SIZE]",
    "The contents of blocks into files by size, with an index; -o DIR: where (heap-dump); --force: "
    "over what is there",
    "core.4711 dump 64 -o blocks", run};

}  // namespace tide::cli
