// The map of spans that `tide heap X frag` shows, as text and as a picture.
#pragma once

#include <string>

#include "inspect/fill_map.h"

namespace tide::cli {

using inspect::FragMap;
using inspect::FragRow;
using inspect::FragSpan;
using inspect::LastBlock;

std::string frag_html(const FragMap& map, const std::string& title);

}  // namespace tide::cli
