// `tide heap X list`: every block, one after the other, as they are found.

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "cli/heap_contents.h"
#include "cli/heap_question.h"
#include "cli/heap_questions.h"
#include "host/error.h"

namespace tide::cli {
namespace {

enum class Format { kText, kNdjson, kBinary };

// Lines are put together in a buffer by hand: there may be hundreds of millions.
class Lines {
 public:
  explicit Lines(Format format) : format_(format) {}

  void add(const walk::Block& block) {
    if (used_ + kLongest > sizeof buffer_) flush();
    switch (format_) {
      case Format::kBinary: {
        const uint64_t words[2] = {block.address, block.bytes};
        std::memcpy(buffer_ + used_, words, sizeof words);
        used_ += sizeof words;
        return;
      }
      case Format::kNdjson:
        text("{\"address\":\"0x");
        number(block.address, 16);
        text("\",\"size\":");
        number(block.bytes, 10);
        if (block.owner != 0) {
          text(",\"heap\":");
          number(block.owner, 10);
        }
        text("}\n");
        return;
      case Format::kText:
        text("0x");
        number(block.address, 16);
        text(" ");
        number(block.bytes, 10);
        text("\n");
        return;
    }
  }

  void flush() {
    print({buffer_, used_});
    used_ = 0;
  }

 private:
  static constexpr size_t kLongest = 128;

  void text(std::string_view what) {
    std::memcpy(buffer_ + used_, what.data(), what.size());
    used_ += what.size();
  }
  void number(uint64_t value, int base) {
    char* const begin = buffer_ + used_;
    used_ += static_cast<size_t>(std::to_chars(begin, begin + 24, value, base).ptr - begin);
  }

  Format format_;
  size_t used_ = 0;
  char buffer_[1 << 16];
};

void choose(Format& format, Format wanted) {
  if (format != Format::kText && format != wanted) {
    throw host::Error("list: --binary or JSON, not both", host::kExitUsage);
  }
  format = wanted;
}

int run(HeapSession& session, const Arguments& arguments) {
  Format format = session.as_json ? Format::kNdjson : Format::kText;
  for (const std::string& argument : arguments) {
    if (argument == "--ndjson") {
      choose(format, Format::kNdjson);
    } else if (argument == "--binary") {
      choose(format, Format::kBinary);
    } else {
      take_size(session, kListQuestion, argument);
    }
  }
  // Lines on the terminal are progress enough.
  if (isatty(STDOUT_FILENO) == 1) {
    session.progress->finish();
  } else {
    session.progress->begin("list", host::Progress::Unit::kBlocks);
  }
  Lines lines(format);
  bool is_first = true;
  walk::Unknown unknown;
  for (const auto& heap : session.heaps) {
    const walk::Unknown here = heap->for_each_block([&](std::span<const walk::Block> blocks) {
      for (const walk::Block& block : blocks) {
        if (session.is_wanted(block.bytes)) lines.add(block);
      }
      session.progress->add(host::Progress::Unit::kBlocks, blocks.size());
      if (is_first) lines.flush();  // somebody waits for it
      is_first = false;
      return true;
    });
    unknown.add(here);
  }
  lines.flush();
  session.progress->finish();
  warn_of_unknown(session, unknown);
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kListQuestion = {
    "list", "[SIZE]",
    "Every block: address and usable bytes; --ndjson: as JSON, one a line; --binary: two "
    "64-bit words each",
    "core.4711 list --ndjson", run};

}  // namespace tide::cli
