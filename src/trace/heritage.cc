#include "trace/heritage.h"

#include <optional>

#include "trace/live_table.h"

namespace tide::trace {
namespace {

// Notes of modules stand at the start of a stream.
constexpr int kMostEventsBeforeModules = 10'000;

class HeritageStream : public ThreadStream {
 public:
  explicit HeritageStream(std::vector<Block> blocks) : blocks_(std::move(blocks)) {}

  bool next(Event& event) override {
    if (at_ == blocks_.size()) return false;
    const Block& block = blocks_[at_++];
    event.call = Call::kNote;
    event.extras[0] = static_cast<uint64_t>(format::Note::kLive);
    event.thread = 1;  // a forked child begins with one thread
    event.pointer = block.address;
    event.size = block.size;
    event.usable = block.usable;
    return true;
  }

 private:
  std::vector<Block> blocks_;
  size_t at_ = 0;
};

bool is_module(const Event& event) {
  return event.call == Call::kNote &&
         event.extras[0] == static_cast<uint64_t>(format::Note::kModule);
}

// Where the first module of a process lies: as in its parent after a fork, elsewhere after an exec.
uint64_t first_module(const TraceProcess& process, EventsFile::Mode mode) {
  TraceReader reader(process, mode);
  for (int i = 0; i < kMostEventsBeforeModules; ++i) {
    const Event* const event = reader.next();
    if (event == nullptr) break;
    if (is_module(*event)) return event->extras[1];
  }
  return 0;
}

// A process that executes another program becomes a new one with the same pid and parent, so only
// the first with a pid can have been forked.
std::optional<size_t> parent_of(const std::vector<TraceProcess>& all, size_t index) {
  const ProcessIdentity& child = all[index].identity;
  std::optional<size_t> parent;
  for (size_t i = 0; i < index; ++i) {
    const ProcessIdentity& other = all[i].identity;
    if (other.pid == child.pid) return {};
    if (other.pid == child.parent && child.parent != 0) parent = i;
  }
  return parent;
}

}  // namespace

std::unique_ptr<TraceReader> open_process(const std::vector<TraceProcess>& all, size_t index,
                                          EventsFile::Mode mode) {
  auto reader = std::make_unique<TraceReader>(all[index], mode);
  const std::optional<size_t> parent = parent_of(all, index);
  if (!parent) return reader;
  const uint64_t module = first_module(all[index], mode);
  const std::unique_ptr<TraceReader> before = open_process(all, *parent, mode);
  bool is_forked = false;
  while (const Event* event = before->next()) {
    is_forked = event->call == Call::kProcess &&
                event->extras[0] == static_cast<uint64_t>(format::ProcessNote::kFork) &&
                event->extras[1] == static_cast<uint64_t>(all[index].identity.pid);
    if (is_forked) break;
  }
  if (!is_forked || !before->symbols().modules().contains(module)) return reader;
  std::vector<Block> blocks;
  before->live().for_each([&](const Block& block, uint32_t) { blocks.push_back(block); });
  reader->add(std::make_unique<HeritageStream>(std::move(blocks)));
  return reader;
}

}  // namespace tide::trace
