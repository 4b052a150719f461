// What is in a workload, for tide info.
#pragma once

#include <string>

namespace tide::cli {

std::string workload_text(const std::string& path);
// One line.
std::string workload_json(const std::string& path);

}  // namespace tide::cli
