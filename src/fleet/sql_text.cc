#include "fleet/sql_text.h"

#include <algorithm>

namespace tide::fleet {
namespace {

// The length of what it begins with: a text in quotes, a comment, or a letter.
size_t token_length(std::string_view sql) {
  const auto behind = [&](std::string_view end) {
    const size_t found = sql.find(end, 2);
    return found == std::string_view::npos ? sql.size() : found + end.size();
  };
  if (sql.substr(0, 2) == "--") return behind("\n");
  if (sql.substr(0, 2) == "/*") return behind("*/");
  const char quote = sql[0];
  if (quote != '\'' && quote != '"' && quote != '`') return 1;
  size_t at = 1;
  while (at < sql.size() && sql[at] != quote) at += sql[at] == '\\' ? size_t{2} : size_t{1};
  return std::min(at + 1, sql.size());
}

bool is_comment(std::string_view sql) {
  return sql.substr(0, 2) == "--" || sql.substr(0, 2) == "/*";
}

}  // namespace

size_t end_of_statement(std::string_view sql) {
  size_t at = 0;
  while (at < sql.size() && sql[at] != ';') at += token_length(sql.substr(at));
  return at;
}

std::string_view behind_blanks(std::string_view sql) {
  constexpr std::string_view kBlanks = " \t\r\n;";
  while (!sql.empty() && (is_comment(sql) || kBlanks.find(sql[0]) != std::string_view::npos)) {
    sql.remove_prefix(token_length(sql));
  }
  return sql;
}

}  // namespace tide::fleet
