// Whom the rows of an answer are about: a call stack, by its functions, or a name.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/fleet_verbs.h"
#include "fleet/memory_questions.h"
#include "host/terminal.h"

namespace tide::cli {

// `rows` must outlive it; each has a `name` and a `stack`. Asks the store for functions only where
// rows are call stacks.
template <class Row>
class RowNames {
 public:
  RowNames(fleet::Store& store, fleet::By by, const std::vector<Row>& rows)
      : rows_(rows), are_stacks_(by == fleet::By::kStack) {
    if (are_stacks_) functions_ = fleet::stack_functions_of(store, rows);
  }

  void add_to(nlohmann::ordered_json& entry, size_t row) const {
    if (are_stacks_) {
      entry["stack"] = rows_[row].stack;
      entry["functions"] = functions_[row];
    } else {
      entry["name"] = rows_[row].name;
    }
  }

  // The title of their column in a table, `by_name` being what --by says, and a cell of it.
  std::string title(std::string by_name) const {
    if (are_stacks_) return "ALLOCATED BY";
    for (char& c : by_name) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return by_name;
  }
  std::string text(size_t row) const {
    constexpr size_t kShownFrames = 6;
    return are_stacks_ ? functions_text(functions_[row], kShownFrames)
                       : host::printable(rows_[row].name);
  }

 private:
  const std::vector<Row>& rows_;
  const bool are_stacks_;
  std::vector<std::vector<std::string>> functions_;
};

}  // namespace tide::cli
