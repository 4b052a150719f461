// Secrets, which are never on the command line: everybody can read that.
#pragma once

#include <string>

namespace tide::host {

// The first line of `file`, or, where that is empty, the environment's `variable`. Empty: there is
// none. Throws Error when the file cannot be read or has none.
std::string read_secret(const std::string& file, const char* variable);

}  // namespace tide::host
