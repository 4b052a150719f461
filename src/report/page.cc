#include "report/page.h"

#include <fmt/format.h>

#include "host/byte_text.h"
#include "host/error.h"
#include "report/assets.h"

namespace tide::report {
namespace {

// The sentences of all sections; one that came from several is said once.
Json answer_of(const std::vector<Section>& sections) {
  Json answer = Json::array();
  for (const Section& section : sections) {
    for (const std::string& line : section.answer) answer.push_back(line);
  }
  return answer;
}

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string page_data(const Head& head, const std::vector<Section>& sections) {
  Json data = {{"title", head.title},
               {"about", head.about},
               {"footer", head.footer},
               {"answer", answer_of(sections)},
               {"sections", Json::array()}};
  for (const Section& section : sections) {
    data["sections"].push_back({{"id", section.id},
                                {"kind", section.kind},
                                {"title", section.title},
                                {"lead", section.lead},
                                {"notes", section.notes},
                                {"facts", section.facts},
                                {"items", section.items}});
  }
  return dumped(data);
}

std::string html_escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

// In JSON these stand in strings only.
std::string script_escaped(std::string_view json) {
  std::string result;
  result.reserve(json.size());
  for (const char c : json) {
    switch (c) {
      case '<':
        result += "\\u003c";
        break;
      case '>':
        result += "\\u003e";
        break;
      case '&':
        result += "\\u0026";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string page_html(const Head& head, std::string_view data) {
  const auto value = [&](std::string_view name) -> std::string {
    if (name == "title") return html_escaped(head.title);
    if (name == "style") return std::string(page_style());
    if (name == "data") return script_escaped(data);
    if (name == "library") return std::string(plot_library());
    return page_scripts();
  };
  std::string html;
  std::string_view rest = page_template();
  for (;;) {
    const size_t from = rest.find("{{");
    html += rest.substr(0, from);
    if (from == std::string_view::npos) break;
    const size_t to = rest.find("}}", from);
    html += value(rest.substr(from + 2, to - from - 2));
    rest.remove_prefix(to + 2);
  }
  if (html.size() > kMostPageBytes) {
    throw host::Error(fmt::format("the page would have {}, more than {}; give fewer inputs at once",
                                  host::byte_text(html.size()), host::byte_text(kMostPageBytes)));
  }
  return html;
}

}  // namespace tide::report
