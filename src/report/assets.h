// The files of page/ and the library that draws, as they are in the command.
#pragma once

#include <string>
#include <string_view>

namespace tide::report {

std::string_view page_template();
std::string_view page_style();
// For a browser: in the order in which they need each other.
std::string page_scripts();
// For the engine that writes SVG.
std::string svg_scripts();
// Apache ECharts. Throws host::Error when the command was built without it.
std::string_view plot_library();

}  // namespace tide::report
