// `tide heap X types`: which classes the memory goes to.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/heap_contents.h"
#include "cli/heap_json.h"
#include "cli/heap_questions.h"
#include "host/error.h"
#include "host/text_table.h"
#include "inspect/contents.h"
#include "inspect/survey.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using host::Align;
using inspect::Contents;
using inspect::Kind;
using inspect::SizeContents;
using inspect::Survey;

constexpr size_t kUsualRows = 40;

struct Type {
  std::string name;
  Kind kind;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  bool is_estimate = false;
};

// What is of no class, by kind: each size's blocks in the shares of those that were looked at.
void add_kinds(const Survey& survey, std::vector<Type>& types) {
  std::array<double, inspect::kKinds> blocks{};
  std::array<double, inspect::kKinds> bytes{};
  bool is_estimate = survey.has_estimated_owners;
  for (const SizeContents& row : survey.sizes) {
    const uint64_t objects = row.kinds[static_cast<size_t>(Kind::kObject)] +
                             row.kinds[static_cast<size_t>(Kind::kObjects)];
    const uint64_t looked_at = row.looked_at - objects;
    const uint64_t rest = row.blocks - std::min(row.blocks, objects);
    if (looked_at == 0 || rest == 0) continue;
    if (looked_at != rest) is_estimate = true;
    const double factor = static_cast<double>(rest) / static_cast<double>(looked_at);
    const double each = static_cast<double>(row.total_bytes) / static_cast<double>(row.blocks);
    for (size_t i = 0; i < inspect::kKinds; ++i) {
      const Kind kind = static_cast<Kind>(i);
      if (kind == Kind::kObject || kind == Kind::kObjects) continue;
      blocks[i] += factor * static_cast<double>(row.kinds[i]);
      bytes[i] += factor * static_cast<double>(row.kinds[i]) * each;
    }
  }
  for (size_t i = 0; i < inspect::kKinds; ++i) {
    if (blocks[i] == 0) continue;
    const Kind kind = static_cast<Kind>(i);
    types.push_back({fmt::format("({})", kind_title(kind)), kind,
                     static_cast<uint64_t>(std::llround(blocks[i])),
                     static_cast<uint64_t>(std::llround(bytes[i])), is_estimate});
  }
}

std::vector<Type> types_of(const Survey& survey, const Contents& contents) {
  std::vector<Type> types;
  for (const auto& [key, total] : survey.objects) {
    const auto& [number, is_array] = key;
    types.push_back({contents.vtables().name(number) + (is_array ? "[]" : ""),
                     is_array ? Kind::kObjects : Kind::kObject, total.blocks, total.bytes, false});
  }
  add_kinds(survey, types);
  std::stable_sort(types.begin(), types.end(),
                   [](const Type& a, const Type& b) { return a.bytes > b.bytes; });
  return types;
}

std::string types_text(const std::vector<Type>& types, const Survey& survey, size_t most,
                       const host::Terminal& terminal) {
  host::TextTable table(
      {{"blocks", Align::kRight}, {"bytes", Align::kRight}, {"share", Align::kRight}, {"type"}});
  bool has_estimates = false;
  for (const Type& type : types) {
    if (most-- == 0) break;
    const std::string about = type.is_estimate ? "~" : "";
    has_estimates = has_estimates || type.is_estimate;
    table.add_row({{about + grouped_text(type.blocks)},
                   {about + grouped_text(type.bytes)},
                   {percent_text(type.bytes, survey.bytes)},
                   {type.name}});
  }
  std::string text = table.render(terminal);
  text += fmt::format("\n{} blocks, {} bytes, {} types\n", grouped_text(survey.blocks),
                      grouped_text(survey.bytes), grouped_text(types.size()));
  if (has_estimates) {
    text += "~: estimated from a sample of what is of no class";
    text += survey.is_sampled ? "; --all looks at all.\n" : " and of who points to it.\n";
  }
  return text;
}

int run(HeapSession& session, const Arguments& arguments) {
  VerbParser parser(kHeapCommand, {});
  inspect::SurveyOptions options;
  bool is_for_all = false;
  parser.add_flag("--all", is_for_all);
  if (!parser.accept(arguments)) return host::kExitOk;
  options.with_every_object = true;
  limit_survey(session, is_for_all, options);
  session.progress->begin("looking at blocks", host::Progress::Unit::kBytes);
  Contents contents(*session.target, session.heaps);
  const Survey survey = inspect::survey(*session.target, session.heaps, contents, options);
  session.progress->finish();
  const std::vector<Type> types = types_of(survey, contents);
  if (session.as_json) {
    Json json = {{"target", session.target->name()},
                 {"blocks", survey.blocks},
                 {"bytes", survey.bytes},
                 {"types", Json::array()}};
    size_t left = session.most == 0 ? types.size() : session.most;
    for (const Type& type : types) {
      if (left-- == 0) break;
      json["types"].push_back({{"type", type.name},
                               {"kind", kind_word(type.kind)},
                               {"blocks", type.blocks},
                               {"bytes", type.bytes},
                               {"estimated", type.is_estimate}});
    }
    print(json_line(json));
  } else {
    const size_t most = session.most == 0 ? kUsualRows : session.most;
    print(types_text(types, survey, most, host::Terminal(STDOUT_FILENO)));
  }
  warn_of_unknown(session, survey.unknown);
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kTypesQuestion = {
    "types", "",
    "Blocks and bytes by class, from the objects' vtables; what has none by kind (estimated in a "
    "big heap; --all: counted)",
    "core.4711 types --top 10", run};

}  // namespace tide::cli
