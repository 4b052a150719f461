// `tide fleet top --kind`: sampled profiles of a fleet, of each kind.

#include <fmt/format.h>
#include <unistd.h>

#include "cli/fleet_row_names.h"
#include "cli/fleet_verbs.h"
#include "cli/heap_json.h"
#include "fleet/profile_questions.h"
#include "host/error.h"
#include "host/number_text.h"
#include "host/terminal.h"
#include "host/text_table.h"
#include "profile/costs.h"

namespace tide::cli {
namespace {

using fleet::By;
using fleet::ProfileKind;
using fleet::ProfileRow;
using host::Align;

ProfileKind kind_named(const std::string& name) {
  const auto kind = profile::find_kind(name);
  if (!kind) {
    throw host::Error(fmt::format("--kind: '{}' is not {}; see: tide fleet top --help", name,
                                  profile::kind_list()),
                      host::kExitUsage);
  }
  using profile::Kind;
  switch (*kind) {
    case Kind::kAllocated:
      return ProfileKind::kAllocated;
    case Kind::kPeak:
      return ProfileKind::kPeak;
    case Kind::kLifetime:
      return ProfileKind::kLifetime;
    case Kind::kGrowth:
      return ProfileKind::kGrowth;
    case Kind::kFragmentation:
      return ProfileKind::kFragmentation;
    case Kind::kResidency:
      return ProfileKind::kResidency;
    case Kind::kInUse:
      break;
  }
  return ProfileKind::kInUse;
}

double mean_lifetime_ns(const ProfileRow& row) {
  return row.blocks == 0 ? 0
                         : static_cast<double>(row.lifetime_ns) / static_cast<double>(row.blocks);
}

// What is shown of a kind beside its bytes.
struct Figure {
  const char* title;
  const char* json;
  int64_t ProfileRow::*member;
  bool is_bytes;
};
struct Shown {
  const char* title;
  const char* json;
  std::vector<Figure> more;
};

Shown shown_of(ProfileKind kind) {
  const Figure blocks = {"BLOCKS", "blocks", &ProfileRow::blocks, false};
  const Figure live = {"LIVE", "live_bytes", &ProfileRow::live_bytes, true};
  switch (kind) {
    case ProfileKind::kAllocated:
      return {"ALLOCATED", "allocated_bytes", {blocks}};
    case ProfileKind::kPeak:
      return {"AT PEAK", "peak_bytes", {live}};
    case ProfileKind::kLifetime:
      return {"FREED", "freed_bytes", {blocks}};
    case ProfileKind::kGrowth:
      return {"GROWN", "grown_bytes", {blocks, live}};
    case ProfileKind::kFragmentation:
      return {"PINNED", "pinned_bytes", {live, blocks}};
    case ProfileKind::kResidency:
      return {"RESIDENT",
              "resident_bytes",
              {{"SWAPPED", "swapped_bytes", &ProfileRow::swapped_bytes, true},
               {"ABSENT", "absent_bytes", &ProfileRow::absent_bytes, true},
               live}};
    case ProfileKind::kInUse:
      break;
  }
  return {"LIVE", "live_bytes", {blocks}};
}

}  // namespace

void check_kind(const KindQuestion& question) {
  kind_named(question.kind);
  if (parse_by("top", question.by) == By::kClass) {
    throw host::Error("--kind: profiles know no size classes; use --by stack or another one",
                      host::kExitUsage);
  }
}

std::string answer_kind(fleet::Store& store, const fleet::Selection& selection,
                        const KindQuestion& question) {
  const ProfileKind kind = kind_named(question.kind);
  const By by = parse_by("top", question.by);
  const auto rows = fleet::profile_rows(store, kind, by, selection, question.most);
  const RowNames names(store, by, rows);
  const Shown shown = shown_of(kind);
  const bool has_lifetime = kind == ProfileKind::kLifetime;
  if (question.as_json) {
    nlohmann::ordered_json json = fleet_json("top", &selection);
    json["kind"] = question.kind;
    json["by"] = question.by;
    json["rows"] = nlohmann::ordered_json::array();
    for (size_t i = 0; i < rows.size(); ++i) {
      nlohmann::ordered_json entry = {{"processes", rows[i].processes},
                                      {shown.json, rows[i].bytes}};
      for (const Figure& figure : shown.more) entry[figure.json] = rows[i].*figure.member;
      if (has_lifetime) entry["mean_lifetime_ns"] = mean_lifetime_ns(rows[i]);
      names.add_to(entry, i);
      json["rows"].push_back(std::move(entry));
    }
    return json_line(json);
  }
  std::vector<host::TextTable::Column> columns = {{"PROCESSES", Align::kRight},
                                                  {shown.title, Align::kRight}};
  for (const Figure& figure : shown.more) columns.push_back({figure.title, Align::kRight});
  if (has_lifetime) columns.push_back({"MEAN LIFETIME", Align::kRight});
  columns.push_back({names.title(question.by)});
  host::TextTable table(columns);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<host::TextTable::Cell> cells = {{fmt::format("{}", rows[i].processes)},
                                                {signed_byte_text(rows[i].bytes)}};
    for (const Figure& figure : shown.more) {
      const int64_t value = rows[i].*figure.member;
      cells.push_back({figure.is_bytes ? signed_byte_text(value) : fmt::format("{}", value)});
    }
    if (has_lifetime) {
      cells.push_back({host::duration_text(static_cast<uint64_t>(mean_lifetime_ns(rows[i])))});
    }
    cells.push_back({names.text(i)});
    table.add_row(std::move(cells));
  }
  return rows.empty() ? "nothing is known for that time\n"
                      : table.render(host::Terminal(STDOUT_FILENO));
}

}  // namespace tide::cli
