// What `tide heap TARGET QUESTION` asks: one question per heap_*.cc, a line each in cmd_heap.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "host/progress.h"
#include "walk/heap.h"
#include "walk/target.h"

namespace tide::inspect {
class BlockIndex;
}

namespace tide::cli {

// What was opened, and how the answer is wanted.
struct HeapSession {
  std::unique_ptr<walk::Target> target;
  std::vector<std::unique_ptr<walk::Heap>> heaps;  // at least one
  bool as_json = false;
  std::optional<walk::Range> sizes;  // --size N or N-M: blocks of these usable bytes only
  size_t most = 0;                   // --top N: rows to show; 0: the question's own number
  // For questions that may take over a second: finish() before the answer is printed.
  std::shared_ptr<host::Progress> progress;
  // Opens another process or core as this one was opened.
  std::function<HeapSession(const std::string& what)> open_other;

  bool is_wanted(uint64_t bytes) const { return !sizes.has_value() || sizes->contains(bytes); }
};

struct HeapQuestion {
  std::string_view name;
  std::string_view arguments;  // "ADDR", "[SIZE]"; for the help
  std::string_view summary;    // one line
  std::string_view example;    // behind "tide heap "
  // The arguments behind the name, options taken out. Returns the exit status. Throws host::Error,
  // with kExitUsage for bad arguments.
  int (*run)(HeapSession& session, const Arguments& arguments);
};

// "0x7f..." or a decimal number. Throws host::Error (kExitUsage) that names `question`.
uint64_t parse_address(std::string_view question, const std::string& text);

// The one argument of a question, or nothing. Throws when there are more.
std::optional<std::string> only_argument(const HeapQuestion& question, const Arguments& arguments);

// For questions that take none: throws when there is one.
void require_no_argument(const HeapQuestion& question, const Arguments& arguments);

// One line on standard error when not all of the heap could be read.
void warn_of_unknown(const HeapSession& session, const walk::Unknown& unknown);

}  // namespace tide::cli
