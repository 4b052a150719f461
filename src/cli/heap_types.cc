// `tide heap X types`: which classes the memory goes to.

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/heap_contents.h"
#include "cli/heap_json.h"
#include "cli/heap_questions.h"
#include "host/error.h"
#include "host/text_table.h"
#include "inspect/contents.h"
#include "inspect/survey.h"
#include "inspect/types.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using host::Align;
using inspect::Contents;
using inspect::Survey;
using inspect::Type;

constexpr size_t kUsualRows = 40;

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
  const std::vector<Type> types = inspect::types_of(survey, contents);
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
