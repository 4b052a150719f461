// `tide heap X check`: whether everything that the heap says of itself fits together.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/heap_json.h"
#include "cli/heap_question.h"
#include "cli/heap_questions.h"
#include "host/error.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;

int run(HeapSession& session, const Arguments& arguments) {
  require_no_argument(kCheckQuestion, arguments);
  const size_t most = session.most == 0 ? 20 : session.most;
  Json json = {{"target", session.target->name()}, {"problems", Json::array()}};
  std::string text;
  size_t count = 0;
  for (const auto& heap : session.heaps) {
    const std::vector<walk::Problem> problems = heap->check(most);
    count += problems.size();
    for (const walk::Problem& problem : problems) {
      json["problems"].push_back({{"address", fmt::format("{:#x}", problem.address)},
                                  {"problem", problem.text},
                                  {"allocator", heap->allocator()}});
      text += fmt::format("{:#x}: {}\n", problem.address, problem.text);
    }
    if (problems.size() >= most) text += fmt::format("... the first {} are shown\n", most);
    if (!problems.empty()) continue;
    text += fmt::format("{}: everything fits together\n", heap->allocator());
    const std::string not_checked = heap->not_checked();
    if (not_checked.empty()) continue;
    json["not_checked"].push_back(not_checked);
    text += fmt::format("  {}\n", not_checked);
  }
  json["is_sound"] = count == 0;
  print(session.as_json ? json_line(json) : text);
  return count == 0 ? host::kExitOk : host::kExitFailed;
}

}  // namespace

const HeapQuestion kCheckQuestion = {
    "check", "", "Whether all lists and counts fit together; where not, which block it is",
    "core.4711 check", run};

}  // namespace tide::cli
