// heaptrack's files: lines of text, numbers in hex. They name no addresses and no threads, only
// what was allocated where, so a release is taken to be that of the last block of its kind.

#include <fmt/format.h>

#include <array>
#include <vector>

#include "host/error.h"
#include "trace/imported.h"
#include "trace/text_lines.h"

namespace tide::trace {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kFirstAddress = uint64_t{1} << 32;

class HeaptrackImporter : public Importer {
 public:
  HeaptrackImporter(const std::string& path, ImportContext& context)
      : lines_(path), context_(context) {}

  double progress() const override { return lines_.progress(); }

  bool next(Event& event) override {
    std::string_view line;
    while (lines_.next(line)) {
      if (line.size() < 2) continue;
      const char kind = line[0];
      rest_ = line.substr(2);
      switch (kind) {
        case 's':
          number();
          strings_.emplace_back(rest_);
          break;
        case 'i':
          add_address();
          break;
        case 't':
          add_node();
          break;
        case 'a':
          add_kind();
          break;
        case '+':
          come(event);
          return true;
        case '-':
          if (go(event)) return true;
          break;
        case 'c':
          time_ns_ = number() * kNsPerMs;
          break;
        case 'X':
          context_.process.program = rest_;
          break;
        default:
          break;  // of the system, comments
      }
    }
    return false;
  }

 private:
  // Blocks of one size from one call stack.
  struct Kind {
    uint64_t size;
    uint32_t stack;
    std::vector<uint64_t> live;
  };

  // The next number of the line.
  uint64_t number() {
    uint64_t value = 0;
    size_t i = 0;
    for (; i < rest_.size() && rest_[i] != ' '; ++i) {
      const char c = rest_[i];
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0 || i == 16) lines_.fail("this is no number in hex");
      value = value << 4 | static_cast<uint64_t>(digit);
    }
    if (i == 0) lines_.fail("a number is missing");
    rest_.remove_prefix(i);
    if (!rest_.empty()) rest_.remove_prefix(1);
    return value;
  }
  const std::string& string(uint64_t index) {
    static const std::string kNone;
    if (index > strings_.size()) lines_.fail("it names a text that is not there");
    return index == 0 ? kNone : strings_[index - 1];
  }

  void add_address() {
    const uint64_t address = number();
    const uint64_t module = number();
    std::vector<Frame> frames;
    while (!rest_.empty()) {
      Frame frame;
      frame.function = string(number());
      if (!rest_.empty()) frame.file = string(number());
      if (!rest_.empty()) frame.line = static_cast<uint32_t>(number());
      frames.push_back(std::move(frame));
    }
    if (frames.empty() || frames[0].function.empty()) {
      const std::string& path = string(module);
      frames = {{fmt::format("{}!{:#x}", path.substr(path.rfind('/') + 1), address), "", 0}};
    }
    context_.symbols.add(address, std::move(frames));
    addresses_.push_back(address);
  }

  void add_node() {
    const uint64_t address = number();
    const uint64_t caller = number();
    if (address == 0 || address > addresses_.size() || caller > nodes_.size()) {
      lines_.fail(
          "it names an address or a caller that is not there (raw files: first "
          "heaptrack_interpret)");
    }
    nodes_.push_back(
        context_.stacks.add(caller == 0 ? 0 : nodes_[caller - 1], addresses_[address - 1]));
  }

  void add_kind() {
    const uint64_t size = number();
    const uint64_t node = number();
    if (node > nodes_.size()) lines_.fail("it names a call stack that is not there");
    kinds_.push_back({size, node == 0 ? 0 : nodes_[node - 1], {}});
  }

  Kind& kind() {
    const uint64_t index = number();
    if (index >= kinds_.size()) lines_.fail("it names an allocation that is not there");
    if (!rest_.empty()) lines_.fail("this is a raw file; first: heaptrack_interpret");
    return kinds_[index];
  }

  void start(Event& event, Call call, const Kind& kind) {
    event.call = call;
    event.thread = 1;
    event.tid = 1;
    event.time_ns = time_ns_;
    event.stack = kind.stack;
    event.size = event.usable = kind.size;
  }

  void come(Event& event) {
    Kind& of = kind();
    start(event, Call::kMalloc, of);
    if (free_.empty()) free_.push_back(next_address_ += 16);
    event.pointer = free_.back();
    free_.pop_back();
    of.live.push_back(event.pointer);
  }

  bool go(Event& event) {
    Kind& of = kind();
    if (of.live.empty()) return false;
    start(event, Call::kFree, of);
    event.stack = 0;
    event.size = event.usable = 0;
    event.pointer = of.live.back();
    of.live.pop_back();
    free_.push_back(event.pointer);
    return true;
  }

  TextLines lines_;
  ImportContext& context_;
  std::string_view rest_;
  std::vector<std::string> strings_;
  std::vector<uint64_t> addresses_;
  std::vector<uint32_t> nodes_;
  std::vector<Kind> kinds_;
  std::vector<uint64_t> free_;  // addresses
  uint64_t next_address_ = kFirstAddress;
  uint64_t time_ns_ = 0;
};

}  // namespace

std::unique_ptr<Importer> import_heaptrack(const std::string& path, ImportContext& context) {
  return std::make_unique<HeaptrackImporter>(path, context);
}

}  // namespace tide::trace
