// The page: one HTML file with all that it needs in it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/parts.h"

namespace tide::report {

inline constexpr size_t kMostPageBytes = 5'000'000;

struct Head {
  std::string title;
  std::string about;   // what was read, when
  std::string footer;  // versions, how it was made
};

// What the scripts draw, as one JSON text.
std::string page_data(const Head& head, const std::vector<Section>& sections);
// Throws host::Error when it would be larger than kMostPageBytes.
std::string page_html(const Head& head, std::string_view data);

// A text for an element's content.
std::string html_escaped(std::string_view text);
// JSON for a <script> element: nothing in it can end the element.
std::string script_escaped(std::string_view json);

}  // namespace tide::report
