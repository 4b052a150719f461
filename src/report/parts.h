// What the page is made of: sections of plots, tables and figures, as the JSON that page/*.js draw.
//
// Numbers go as they are, with a unit that says how they are shown: bytes, ns, count, exact, rate,
// ratio, percent, rank, text. Colours are numbers of a palette, so that an allocator has the same
// one in all plots, or names of page/palette.js.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tide::report {

using Json = nlohmann::ordered_json;
using Points = std::vector<std::pair<double, double>>;

struct Section {
  std::string id;  // unique in the page
  std::string kind;
  std::string title;
  std::string lead;
  std::vector<std::string> notes;   // what is wrong with the data
  Json facts = Json::array();       // [name, value, unit]
  std::vector<Json> items;          // plots and tables
  std::vector<std::string> answer;  // sentences for the top of the page

  void fact(std::string_view name, const Json& value, std::string_view unit) {
    facts.push_back({name, value, unit});
  }
};

struct Axis {
  std::string name;
  std::string unit;
  bool is_log = false;
};

struct Curve {
  std::string name;
  Json color;
  Points points;
  std::string dash = {};  // solid
  bool is_hidden = false;
  bool is_filled = false;
};

// Titles, and how to read it.
struct Caption {
  std::string id;
  std::string title;
  std::string how;
};

// Curves are thinned to what can be seen. `can_zoom`: by the reader.
Json lines(const Caption& caption, const Axis& x, const Axis& y, const std::vector<Curve>& curves,
           bool can_zoom);

struct Bars {
  std::string name;
  Json color;
  std::vector<double> values;  // one for each category
};
Json bars(const Caption& caption, const Axis& x, const Axis& y,
          const std::vector<std::string>& categories, const std::vector<Bars>& series);

struct Cell {
  size_t column;
  size_t row;
  double value;
};
// `columns`: where each begins, in x's unit.
Json heat(const Caption& caption, const Axis& x, const Axis& y, const std::vector<double>& columns,
          const std::vector<std::string>& rows, const std::vector<Cell>& cells);

struct Column {
  std::string name;
  std::string unit;
  std::string best = {};  // "low" or "high": the end that is marked
  bool is_wide = false;   // long text that may wrap
};
Json table(const Caption& caption, const std::vector<Column>& columns, const Json& rows);

// At most four significant figures: what a plot can show.
double rounded(double value);

// "malloc 64 B" as a part of an id: "malloc-64-b".
std::string id_of(std::string_view text);

}  // namespace tide::report
