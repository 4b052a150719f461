// A heap's figures as JSON, under the keys that the library's own statistics have.
#pragma once

#include <nlohmann/json.hpp>

#include "walk/heap_reader.h"

namespace tide::cli {

// Adds the totals, "classes" and "threads" to an object.
void add_heap_figures(const walk::HeapFigures& figures, nlohmann::ordered_json& object);

// One line with its newline. What is no UTF-8 is replaced.
std::string json_line(const nlohmann::ordered_json& json);

}  // namespace tide::cli
