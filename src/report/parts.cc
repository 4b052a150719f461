#include "report/parts.h"

#include <cctype>
#include <cmath>

#include "report/downsample.h"

namespace tide::report {
namespace {

Json axis(const Axis& axis) {
  Json json = {{"name", axis.name}, {"unit", axis.unit}};
  if (axis.is_log) json["log"] = true;
  return json;
}

Json begin(const char* type, const Caption& caption) {
  return {{"type", type}, {"id", caption.id}, {"title", caption.title}, {"how", caption.how}};
}

// Without the ".0" of a whole number: pages are made of numbers.
Json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  const double nearest = std::round(value);
  if (nearest == value && std::abs(value) < 9e15) return static_cast<int64_t>(nearest);
  return value;
}

}  // namespace

double rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double scale = std::pow(10, 3 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

std::string id_of(std::string_view text) {
  std::string id;
  for (const char c : text) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0 && (c & 0x80) == 0;
    if (is_plain) {
      id += static_cast<char>(std::tolower(c));
    } else if (!id.empty() && id.back() != '-') {
      id += '-';
    }
  }
  while (!id.empty() && id.back() == '-') id.pop_back();
  return id.empty() ? "x" : id;
}

Json lines(const Caption& caption, const Axis& x, const Axis& y, const std::vector<Curve>& curves,
           bool can_zoom) {
  Json json = begin("lines", caption);
  json["x"] = axis(x);
  json["y"] = axis(y);
  if (can_zoom) json["zoom"] = true;
  Json& series = json["series"] = Json::array();
  for (const Curve& curve : curves) {
    Json one = {{"name", curve.name}, {"color", curve.color}};
    if (!curve.dash.empty()) one["dash"] = curve.dash;
    if (curve.is_hidden) one["hidden"] = true;
    if (curve.is_filled) one["fill"] = true;
    Json& points = one["points"] = Json::array();
    for (const auto& [at, value] : thinned(curve.points, kMostPoints)) {
      points.push_back({number(x.is_log ? rounded(at) : std::round(at)), number(rounded(value))});
    }
    series.push_back(std::move(one));
  }
  return json;
}

Json bars(const Caption& caption, const Axis& x, const Axis& y,
          const std::vector<std::string>& categories, const std::vector<Bars>& series) {
  Json json = begin("bars", caption);
  json["x"] = axis(x);
  json["y"] = axis(y);
  json["categories"] = categories;
  json["series"] = Json::array();
  for (const Bars& one : series) {
    Json values = Json::array();
    for (const double value : one.values) values.push_back(number(rounded(value)));
    json["series"].push_back(
        {{"name", one.name}, {"color", one.color}, {"values", std::move(values)}});
  }
  return json;
}

Json heat(const Caption& caption, const Axis& x, const Axis& y, const std::vector<double>& columns,
          const std::vector<std::string>& rows, const std::vector<Cell>& cells) {
  Json json = begin("heat", caption);
  json["x"] = axis(x);
  json["y"] = axis(y);
  json["columns"] = Json::array();
  for (const double column : columns) json["columns"].push_back(number(rounded(column)));
  json["rows"] = rows;
  json["cells"] = Json::array();
  for (const Cell& cell : cells) {
    json["cells"].push_back({cell.column, cell.row, number(rounded(cell.value))});
  }
  return json;
}

Json table(const Caption& caption, const std::vector<Column>& columns, const Json& rows) {
  Json json = begin("table", caption);
  json["columns"] = Json::array();
  for (const Column& column : columns) {
    Json one = {{"name", column.name}, {"unit", column.unit}};
    if (!column.best.empty()) one["best"] = column.best;
    if (column.is_wide) one["wide"] = true;
    json["columns"].push_back(std::move(one));
  }
  json["rows"] = rows;
  return json;
}

}  // namespace tide::report
