// What `tide doctor` says, as text and as JSON.
#pragma once

#include <string>

#include "host/terminal.h"
#include "walk/process_picture.h"
#include "walk/rss_parts.h"

namespace tide::cli {

std::string doctor_text(const walk::ProcessPicture& picture, const walk::RssParts& parts,
                        const host::Terminal& terminal);

// One line.
std::string doctor_json(const walk::ProcessPicture& picture, const walk::RssParts& parts);

}  // namespace tide::cli
