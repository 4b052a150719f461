#include "host/secret.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "host/error.h"

namespace tide::host {

std::string read_secret(const std::string& file, const char* variable) {
  if (file.empty()) {
    const char* const value = std::getenv(variable);
    return value == nullptr ? "" : value;
  }
  std::ifstream stream(file);
  if (!stream) throw Error(fmt::format("cannot read '{}': {}", file, std::strerror(errno)));
  std::string secret;
  std::getline(stream, secret);
  if (secret.empty()) throw Error(fmt::format("there is no token in '{}'", file));
  return secret;
}

}  // namespace tide::host
