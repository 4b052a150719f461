// `tide heap X leaks`: blocks that nothing leads to any more, and what they hold.

#include <fmt/format.h>
#include <unistd.h>

#include "cli/heap_graph.h"
#include "cli/heap_json.h"
#include "cli/heap_question.h"
#include "cli/heap_questions.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "host/text_table.h"
#include "inspect/leaks.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using host::Align;
using inspect::LeakHead;
using inspect::Leaks;

constexpr size_t kRowsForPeople = 20;
constexpr size_t kRowsForPrograms = 100'000;

struct Limits {
  size_t heads;
  size_t blocks;  // listed one by one
};

// Calls show(block, address, bytes) for leaked blocks, at most `most`.
template <class Show>
void for_each_leaked(const HeapGraph& heap, const Leaks& leaks, const HeapSession& session,
                     size_t most, Show show) {
  heap.index.for_each(0, heap.index.count(), [&](uint32_t block, uint64_t address, uint64_t size) {
    if (most == 0 || leaks.reached.contains(block) || !session.is_wanted(size)) return;
    --most;
    show(address, size);
  });
}

// In pieces: there may be millions of them.
class Output {
 public:
  void add(std::string_view text) {
    text_ += text;
    if (text_.size() > (64 << 10)) flush();
  }
  void flush() {
    print(text_);
    text_.clear();
  }

 private:
  std::string text_;
};

void print_json(const HeapSession& session, const HeapGraph& heap, const Leaks& leaks,
                Limits limits) {
  Output output;
  output.add(fmt::format("{{\"leaked_blocks\":{},\"leaked_bytes\":{},\"leaked_heads\":{},",
                         leaks.blocks, leaks.bytes, leaks.heads.size()));
  output.add(fmt::format("\"live_blocks\":{},\"live_bytes\":{},\"heads\":[", heap.index.count(),
                         heap.index.live_bytes()));
  const char* comma = "";
  for (const LeakHead& head : leaks.heads) {
    if (!session.is_wanted(heap.index.bytes_of(head.block))) continue;
    if (limits.heads-- == 0) break;
    output.add(fmt::format(
        "{}{{\"address\":\"{:#x}\",\"size\":{},\"holds_blocks\":{},\"holds_bytes\":{}}}", comma,
        heap.index.address_of(head.block), heap.index.bytes_of(head.block), head.held.blocks,
        head.held.bytes));
    comma = ",";
  }
  output.add("],\"blocks\":[");
  comma = "";
  for_each_leaked(heap, leaks, session, limits.blocks, [&](uint64_t address, uint64_t size) {
    output.add(fmt::format("{}{{\"address\":\"{:#x}\",\"size\":{}}}", comma, address, size));
    comma = ",";
  });
  output.add("]}\n");
  output.flush();
}

void print_text(const HeapSession& session, const HeapGraph& heap, const Leaks& leaks,
                Limits limits) {
  Output output;
  if (leaks.blocks == 0) {
    output.add(
        fmt::format("no leaks: all {} blocks can be reached\n", grouped_text(heap.index.count())));
    output.flush();
    return;
  }
  output.add(fmt::format("{} of {} blocks are leaked, {} of {}: nothing leads to them.\n\n",
                         grouped_text(leaks.blocks), grouped_text(heap.index.count()),
                         host::byte_text(leaks.bytes), host::byte_text(heap.index.live_bytes())));
  host::TextTable table({{"block"},
                         {"bytes", Align::kRight},
                         {"holds blocks", Align::kRight},
                         {"holds bytes", Align::kRight}});
  size_t shown = 0;
  for (const LeakHead& head : leaks.heads) {
    if (!session.is_wanted(heap.index.bytes_of(head.block))) continue;
    if (shown++ == limits.heads) break;
    table.add_row({{hex_text(heap.index.address_of(head.block))},
                   {grouped_text(heap.index.bytes_of(head.block))},
                   {grouped_text(head.held.blocks)},
                   {grouped_text(head.held.bytes)}});
  }
  output.add(table.render(host::Terminal(STDOUT_FILENO)));
  output.add(fmt::format(
      "\n{} of them no other leaked block points to, but from within its cycle. What one holds is\n"
      "itself and all that only it leads to.\n",
      grouped_text(leaks.heads.size())));
  if (limits.blocks != 0) output.add("\nAll leaked blocks:\n");
  for_each_leaked(heap, leaks, session, limits.blocks, [&](uint64_t address, uint64_t size) {
    output.add(fmt::format("{:#x} {}\n", address, size));
  });
  output.flush();
}

int run(HeapSession& session, const Arguments& arguments) {
  Arguments rest = arguments;
  const bool all = std::erase(rest, "--all") != 0;
  if (only_argument(kLeaksQuestion, rest).has_value()) {
    throw host::Error(
        fmt::format("leaks: unexpected argument '{}'; to ask for one block: tide heap "
                    "... path ADDR",
                    rest[0]),
        host::kExitUsage);
  }
  const HeapGraph heap(session);
  const Leaks leaks(heap.index, heap.graph, heap.anchors);
  session.progress->finish();
  warn_of_missing(session, heap.index.unknown(), heap.graph.missing_bytes(),
                  heap.roots.missing_bytes(), "what only they point to is shown as leaked");
  const size_t rows = session.most != 0 ? session.most
                      : session.as_json ? kRowsForPrograms
                                        : kRowsForPeople;
  const size_t heads = all && session.most == 0 ? SIZE_MAX : rows;
  if (session.as_json) {
    print_json(session, heap, leaks, {heads, all ? SIZE_MAX : rows});
  } else {
    print_text(session, heap, leaks, {heads, all ? SIZE_MAX : 0});
  }
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kLeaksQuestion = {"leaks", "[--all]",
                                     "Blocks that nothing leads to, and what they hold",
                                     "core.4711 leaks --json", run};

}  // namespace tide::cli
