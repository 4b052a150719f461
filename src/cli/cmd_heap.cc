// `tide heap`: every block of a live process or of a core. The questions stand in heap_*.cc.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "cli/command.h"
#include "cli/heap_question.h"
#include "cli/heap_questions.h"
#include "cli/watched_target.h"
#include "host/error.h"
#include "walk/core_target.h"
#include "walk/live_target.h"
#include "walk/open_target.h"
#include "walk/remote_target.h"

namespace tide::cli {
namespace {

constexpr HelpText kHelp = {
    "  tide heap 4711\n"
    "  tide heap core.4711 leaks\n"
    "  tide heap core.4711 list --ndjson | head\n",
    "tide heap PID|CORE [PROGRAM] [QUESTION [ARGUMENTS]] [OPTIONS]",
    "Looks at every block of a process or of a core, on Tide or on glibc's malloc. Nothing has to\n"
    "be prepared: no symbols, no debug information, no option at start. PROGRAM is the program's\n"
    "file, for a core whose own name for it leads nowhere.\n",
    ""};

const HeapQuestion* find_question(std::string_view name) {
  const auto found = std::find_if(kHeapQuestions.begin(), kHeapQuestions.end(),
                                  [&](const HeapQuestion* q) { return q->name == name; });
  return found == kHeapQuestions.end() ? nullptr : *found;
}

std::string help_notes() {
  std::string text = "Questions (without one: stats):\n";
  for (const HeapQuestion* question : kHeapQuestions) {
    text += fmt::format("  {:<22}{}\n", fmt::format("{} {}", question->name, question->arguments),
                        question->summary);
  }
  text +=
      "\nA process is stopped while it is looked at, which takes no longer than the answer, and\n"
      "goes on when this command ends, whatever happens to it. ADDR is the address of a block or\n"
      "of any byte in it; SIZE is a number of bytes: blocks that malloc would give for it, which\n"
      "have the next larger size that there is. --size takes usable bytes as they are.\n";
  return text;
}

// "64", "64-128", "4K": usable bytes from .. to.
walk::Range parse_sizes(const std::string& text) {
  const auto fail = [&] {
    throw host::Error(
        fmt::format("'{}' is no size; write --size 64, --size 64-1K or --size 1M-", text),
        host::kExitUsage);
  };
  const auto number = [&](std::string_view part) {
    uint64_t value = 0;
    const auto [end, fault] = std::from_chars(part.data(), part.data() + part.size(), value);
    std::string_view unit(end, static_cast<size_t>(part.data() + part.size() - end));
    if (fault != std::errc() || unit.size() > 1) fail();
    const uint64_t factor = unit.empty()                       ? 1
                            : unit[0] == 'K' || unit[0] == 'k' ? uint64_t{1} << 10
                            : unit[0] == 'M' || unit[0] == 'm' ? uint64_t{1} << 20
                            : unit[0] == 'G' || unit[0] == 'g' ? uint64_t{1} << 30
                                                               : 0;
    if (factor == 0 || value > UINT64_MAX / factor) fail();
    return value * factor;
  };
  const std::string_view all = text;
  const size_t dash = all.find('-');
  if (dash == std::string_view::npos) {
    const uint64_t bytes = number(all);
    return {bytes, bytes + 1};
  }
  const uint64_t first = dash == 0 ? 0 : number(all.substr(0, dash));
  const uint64_t last = dash + 1 == all.size() ? UINT64_MAX - 1 : number(all.substr(dash + 1));
  if (last < first) fail();
  return {first, last + 1};
}

HeapSession open_session(const std::string& what, const walk::OpenOptions& options) {
  HeapSession session;
  session.progress = std::make_shared<host::Progress>(host::Terminal(STDERR_FILENO));
  session.target = walk::open_target(what, options);
  if (session.progress->is_on()) {
    session.target = std::make_unique<WatchedTarget>(std::move(session.target), session.progress);
  }
  session.progress->begin("finding the heap", host::Progress::Unit::kBytes);
  session.heaps = walk::find_heaps(*session.target);
  return session;
}

// "8,9": descriptors that answers come from and questions go to. For gdb/tide-heap.py.
HeapSession open_reader(const std::string& text) {
  int answers = 0;
  int questions = 0;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, answers);
  const bool has_second = first.ec == std::errc() && first.ptr != end && *first.ptr == ',';
  const auto second = std::from_chars(first.ptr + (has_second ? 1 : 0), end, questions);
  if (!has_second || second.ec != std::errc() || second.ptr != end) {
    throw host::Error(fmt::format("'{}' are no two descriptors for --reader", text),
                      host::kExitUsage);
  }
  HeapSession session;
  session.progress = std::make_shared<host::Progress>(host::Terminal(STDERR_FILENO));
  session.target = std::make_unique<walk::RemoteTarget>(answers, questions);
  session.heaps = walk::find_heaps(*session.target);
  return session;
}

// One line on standard error when sizes were asked for that no block has.
void warn_of_no_block(const HeapSession& session) {
  if (!session.sizes.has_value()) return;
  bool has_some = false;
  for (const auto& heap : session.heaps) {
    heap->for_each_block([&](std::span<const walk::Block> blocks) {
      has_some = std::any_of(blocks.begin(), blocks.end(), [&](const walk::Block& block) {
        return session.is_wanted(block.bytes);
      });
      return !has_some;
    });
    if (has_some) return;
  }
  const walk::Range& sizes = *session.sizes;
  std::string text = std::to_string(sizes.start);
  if (sizes.end - 1 != sizes.start) text += " to " + std::to_string(sizes.end - 1);
  fmt::print(stderr, "tide heap: {} has no live block of {} usable bytes\n", session.target->name(),
             text);
}

int run(const Arguments& arguments) {
  HelpText help = kHelp;
  const std::string notes = help_notes();
  help.notes = notes;
  VerbParser parser(kHeapCommand, help);
  walk::OpenOptions options;
  bool as_json = false;
  bool no_stop = false;
  std::string sizes;
  size_t most = 0;
  std::string reader;
  parser.add_option("--reader", reader)->group("");
  parser.add_flag("--json", as_json, "Print JSON");
  parser.add_option("--program", options.program, "The program's file, as PROGRAM")
      ->type_name("FILE");
  parser
      .add_option("--sysroot", options.sysroot,
                  "The folder that the files are under which a core names")
      ->type_name("DIR");
  parser.add_flag("--no-stop", no_stop,
                  "Leave the process running; what it changes meanwhile may not fit together");
  parser.add_option("--size", sizes, "Only blocks of so many usable bytes: 64, 64-1K, 1M-")
      ->type_name("N[-M]");
  parser.add_option("--top", most, "Rows to show, where only the largest are shown")
      ->type_name("N");
  // All else is the question's own, in its order.
  parser.allow_extras();
  if (!parser.accept(arguments)) return host::kExitOk;
  const Arguments words = parser.remaining();
  if (words.empty() && reader.empty()) {
    throw host::Error("no process or core given; see: tide heap --help", host::kExitUsage);
  }
  const std::string what = reader.empty() ? words[0] : "";
  size_t next = reader.empty() ? 1 : 0;
  const HeapQuestion* question = kHeapQuestions.front();
  if (next < words.size() && reader.empty() && find_question(words[next]) == nullptr &&
      access(words[next].c_str(), R_OK) == 0) {
    options.program = words[next++];
  }
  if (next < words.size()) {
    question = find_question(words[next]);
    if (question == nullptr) {
      std::vector<std::string_view> names;
      for (const HeapQuestion* known : kHeapQuestions) names.push_back(known->name);
      throw host::Error(fmt::format("there is no question '{}'{}; see: tide heap --help",
                                    words[next], did_you_mean(words[next], names)),
                        host::kExitUsage);
    }
    ++next;
  }
  const Arguments rest(words.begin() + static_cast<long>(next), words.end());
  options.stop = !no_stop;
  // Before the process is stopped: what was asked for wrongly should not cost it anything.
  const auto wanted = sizes.empty() ? std::nullopt : std::optional(parse_sizes(sizes));
  HeapSession session = reader.empty() ? open_session(what, options) : open_reader(reader);
  session.as_json = as_json;
  session.sizes = wanted;
  session.most = most;
  session.open_other = [options](const std::string& other) { return open_session(other, options); };
  session.progress->finish();
  if (no_stop && !session.target->is_core()) {
    fmt::print(stderr,
               "tide heap: {} goes on meanwhile: blocks that it takes or frees now may be "
               "missing or listed\n",
               session.target->name());
  }
  if (session.target->cut_bytes() != 0) {
    fmt::print(stderr, "tide heap: {} was cut off: {} bytes of memory are missing at its end\n",
               session.target->name(), session.target->cut_bytes());
  }
  const int status = question->run(session, rest);
  warn_of_no_block(session);
  return status;
}

}  // namespace

uint64_t parse_address(std::string_view question, const std::string& text) {
  uint64_t address = 0;
  std::string_view digits = text;
  int base = 10;
  if (digits.starts_with("0x") || digits.starts_with("0X")) {
    digits.remove_prefix(2);
    base = 16;
  }
  const auto [end, fault] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address, base);
  if (fault != std::errc() || end != digits.data() + digits.size()) {
    throw host::Error(
        fmt::format("{}: '{}' is no address; write it as 0x7f0012345670", question, text),
        host::kExitUsage);
  }
  return address;
}

namespace {

[[noreturn]] void fail_unexpected(const HeapQuestion& question, const std::string& argument) {
  throw host::Error(
      fmt::format("{}: unexpected argument '{}'; see: tide heap --help", question.name, argument),
      host::kExitUsage);
}

}  // namespace

std::optional<std::string> only_argument(const HeapQuestion& question, const Arguments& arguments) {
  if (arguments.empty()) return std::nullopt;
  if (arguments.size() > 1) fail_unexpected(question, arguments[1]);
  if (arguments[0].starts_with("--")) fail_unexpected(question, arguments[0]);
  return arguments[0];
}

void require_no_argument(const HeapQuestion& question, const Arguments& arguments) {
  if (const auto odd = only_argument(question, arguments)) fail_unexpected(question, *odd);
}

void warn_of_unknown(const HeapSession& session, const walk::Unknown& unknown) {
  if (unknown.parts == 0) return;
  fmt::print(stderr,
             "tide heap: not all of {} could be read ({}): blocks in {} bytes of its heap are not "
             "known\n",
             session.target->name(), unknown.reason, unknown.bytes);
}

const Command kHeapCommand = {"heap", "Look at every block of a process or a core", run};

}  // namespace tide::cli
