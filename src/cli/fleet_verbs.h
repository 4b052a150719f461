// The verbs behind `tide fleet`, and what they share.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/fleet_options.h"
#include "fleet/memory_questions.h"
#include "fleet/store.h"

namespace tide::cli {

extern const Command kFleetTopCommand;
extern const Command kFleetDiffCommand;
extern const Command kFleetLeaksCommand;
extern const Command kFleetRssCommand;
extern const Command kFleetTraceCommand;
extern const Command kFleetReportCommand;
extern const Command kFleetImportCommand;
extern const Command kFleetSqlCommand;
extern const Command kFleetSchemaCommand;
extern const Command kFleetExpireCommand;

// A database that has tables. Throws host::Error when there is none.
std::unique_ptr<fleet::Store> open_fleet(const FleetOptions& options);

// Which rows a question is about.
class SelectionOptions {
 public:
  // `usual_ns`: how far back from the newest row, unless told.
  explicit SelectionOptions(uint64_t usual_ns) : usual_ns_(usual_ns) {}
  void add_to(CLI::App& parser);
  void set_usual(uint64_t usual_ns) { usual_ns_ = usual_ns; }
  fleet::Selection selection(fleet::Store& store, fleet::TableId table) const;

 private:
  uint64_t usual_ns_;
  std::string from_, to_, host_, service_, version_, container_;
};

// A moment: 2h or 7d before `newest_ns`, or 2026-11-22, or 2026-11-22T10:30, in UTC.
// Throws host::Error, kExitUsage.
int64_t parse_moment(const std::string& option, const std::string& text, int64_t newest_ns);
// "2026-11-22 10:30:05", in UTC.
std::string moment_text(int64_t time_ns);

// `tide fleet top --kind`: what sampled profiles say of call stacks, or of what `by` is.
struct KindQuestion {
  std::string kind;
  std::string by;
  size_t most = 0;
  bool as_json = false;
};
// Of a kind that is none, or of size classes. Throws host::Error, kExitUsage.
void check_kind(const KindQuestion& question);
std::string answer_kind(fleet::Store& store, const fleet::Selection& selection,
                        const KindQuestion& question);

// host, service, version, command, container, process, stack, class. Throws host::Error,
// kExitUsage.
fleet::By parse_by(const std::string& verb, const std::string& text);

// "leak < handle < main", at most so many.
std::string functions_text(const std::vector<std::string>& functions, size_t most);

// Bytes, less than none too.
std::string signed_byte_text(int64_t bytes);

// {"tide_fleet": VERB, ...} to which a verb adds its own.
nlohmann::ordered_json fleet_json(const std::string& verb, const fleet::Selection* selection);

}  // namespace tide::cli
