// What to do about the memory of a process: sentences for people, the weightiest first.
#pragma once

#include <string>
#include <vector>

#include "walk/process_picture.h"
#include "walk/rss_parts.h"

namespace tide::cli {

std::vector<std::string> doctor_advice(const walk::ProcessPicture& picture,
                                       const walk::RssParts& parts);

}  // namespace tide::cli
