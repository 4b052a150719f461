// CTF with the events of LTTng's libc wrapper, or of our own export: babeltrace2 reads it, and its
// text is read here.

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "host/error.h"
#include "trace/ctf_events.h"
#include "trace/imported.h"

extern char** environ;

namespace tide::trace {
namespace {

// babeltrace2 as a child whose output is read.
class Babeltrace {
 public:
  explicit Babeltrace(const std::string& path) : path_(path) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
      throw host::Error(fmt::format("no pipe: {}", std::strerror(errno)));
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    const char* const arguments[] = {"babeltrace2", "--clock-cycles", "--no-delta", path.c_str(),
                                     nullptr};
    const int error = posix_spawnp(&child_, "babeltrace2", &actions, nullptr,
                                   const_cast<char* const*>(arguments), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (error != 0) {
      close(ends[0]);
      throw host::Error(fmt::format(
          "babeltrace2 reads CTF, and it can't be started: {}; Debian has it in the package "
          "babeltrace2",
          std::strerror(error)));
    }
    out_ = fdopen(ends[0], "r");
  }
  ~Babeltrace() {
    if (out_ != nullptr) std::fclose(out_);
    std::free(line_);
    if (child_ > 0) waitpid(child_, nullptr, 0);
  }
  Babeltrace(const Babeltrace&) = delete;
  Babeltrace& operator=(const Babeltrace&) = delete;

  bool next(std::string_view& line) {
    const ssize_t length = getline(&line_, &capacity_, out_);
    if (length <= 0) return finish();
    line = {line_, static_cast<size_t>(length)};
    return true;
  }

 private:
  bool finish() {
    int status = 0;
    const bool is_over = waitpid(child_, &status, 0) == child_;
    child_ = 0;
    if (is_over && status != 0) {
      throw host::Error(
          fmt::format("babeltrace2 cannot read '{}'; its own message says why", path_));
    }
    return false;
  }

  std::string path_;
  pid_t child_ = 0;
  std::FILE* out_ = nullptr;
  char* line_ = nullptr;
  size_t capacity_ = 0;
};

// The number behind "NAME = ", decimal or hex.
std::optional<uint64_t> field(std::string_view line, std::string_view name) {
  for (size_t at = line.find(name); at != std::string_view::npos; at = line.find(name, at + 1)) {
    const std::string_view behind = line.substr(at + name.size());
    if (at == 0 || line[at - 1] != ' ' || !behind.starts_with(" = ")) continue;
    std::string_view text = behind.substr(3);
    const int base = text.starts_with("0x") ? 16 : 10;
    if (base == 16) text.remove_prefix(2);
    uint64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value, base).ec == std::errc()) {
      return value;
    }
  }
  return {};
}

// The text behind "NAME = ", without its quotes; empty: there is none.
std::string_view text_field(std::string_view line, std::string_view name) {
  const std::string begin = fmt::format(" {} = \"", name);
  const size_t at = line.rfind(begin);
  if (at == std::string_view::npos) return {};
  const std::string_view text = line.substr(at + begin.size());
  return text.substr(0, text.find('"'));
}

// Of calls that share an event's name.
std::string key(std::string_view event, std::string_view call) {
  return fmt::format("{} {}", event, call);
}

class CtfImporter : public Importer {
 public:
  explicit CtfImporter(const std::string& path) : source_(path) {
    for (size_t i = 0; i < format::kCallCount; ++i) {
      const auto call = static_cast<Call>(i);
      const CtfEvent& event = ctf_event(call);
      if (event.name == nullptr) continue;
      const bool shares_name =
          std::any_of(event.fields.begin(), event.fields.end(),
                      [](const CtfField& field) { return field.value == CtfValue::kCallName; });
      calls_.emplace(shares_name ? key(event.name, format::call_name(call)) : event.name, call);
    }
  }

  double progress() const override { return 0; }

  bool next(Event& event) override {
    if (result_) {
      event.call = *result_;
      event.pointer = result_pointer_;
      event.size = event.usable = 0;
      result_.reset();
      return true;
    }
    std::string_view line;
    while (source_.next(line)) {
      if (fill(line, event)) return true;
    }
    return false;
  }

 private:
  // "[cycles] (host) provider:event: { context }, { fields }"; false: of no interest.
  bool fill(std::string_view line, Event& event) {
    const size_t stamp = line.find('[');
    const size_t colon = line.find(':');
    const size_t brace = line.find('{');
    if (stamp != 0 || colon == std::string_view::npos || brace == std::string_view::npos)
      return false;
    const size_t name_end = line.rfind(':', brace);
    const size_t name_begin = line.rfind(' ', name_end) + 1;
    const std::string_view fields = line.substr(brace);
    const std::string_view name = line.substr(name_begin, name_end - name_begin);
    const std::string_view what = text_field(fields, "call");
    const auto known = calls_.find(what.empty() ? std::string(name) : key(name, what));
    if (known == calls_.end()) return false;
    uint64_t cycles = 0;
    std::from_chars(line.data() + 1, line.data() + line.size(), cycles);
    if (!first_) first_ = cycles;
    const uint64_t tid = field(fields, "vtid").value_or(0);
    const auto [thread, is_new] =
        threads_.try_emplace(tid, static_cast<uint32_t>(threads_.size() + 1));
    event.call = known->second;
    event.thread = thread->second;
    event.tid = static_cast<int32_t>(tid);
    event.time_ns = cycles > *first_ ? cycles - *first_ : 0;
    for (uint64_t& extra : event.extras) extra = 0;
    event.size = event.pointer = 0;
    event.text = {};
    for (const CtfField& wanted : ctf_event(event.call).fields) {
      if (wanted.value == CtfValue::kEnd) break;
      take(wanted, field(fields, wanted.name).value_or(0), event);
    }
    if (event.call == Call::kCalloc) event.size *= event.extras[0];
    event.usable = event.size;
    return event.call == Call::kReallocDone || event.call == Call::kMremapDone ? split(event)
                                                                               : true;
  }

  void take(const CtfField& wanted, uint64_t value, Event& event) {
    switch (wanted.value) {
      case CtfValue::kSize:
      case CtfValue::kElementSize:
        event.size = value;
        break;
      case CtfValue::kPointer:
        event.pointer = value;
        break;
      case CtfValue::kOldPointer:
        old_pointer_ = value;
        break;
      case CtfValue::kText:
      case CtfValue::kCallName:
        break;
      default:
        event.extras[static_cast<size_t>(wanted.value) - static_cast<size_t>(CtfValue::kExtra0)] =
            value;
        break;
    }
  }

  // One event there is two here.
  bool split(Event& event) {
    result_ = event.call;
    result_pointer_ = event.pointer;
    event.call = event.call == Call::kReallocDone ? Call::kRealloc : Call::kMremap;
    event.pointer = old_pointer_;
    return true;
  }

  Babeltrace source_;
  std::unordered_map<std::string, Call> calls_;
  std::unordered_map<uint64_t, uint32_t> threads_;
  std::optional<uint64_t> first_;
  std::optional<Call> result_;
  uint64_t result_pointer_ = 0;
  uint64_t old_pointer_ = 0;
};

}  // namespace

std::unique_ptr<Importer> import_ctf(const std::string& path, ImportContext& context) {
  context.process.program = path;
  return std::make_unique<CtfImporter>(path);
}

}  // namespace tide::trace
