// The plots of a page as SVG files: the page's own scripts, run without a browser.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace tide::report {

// `data`: of the page. Returns how many were written into `folder`, which is made where needed.
// Throws host::Error.
size_t write_svgs(std::string_view data, const std::string& folder,
                  const std::function<void(double)>& progress);

}  // namespace tide::report
