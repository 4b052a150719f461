#include "host/demangle.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace tide::host {
namespace {

constexpr size_t kLongest = 1024;  // of what stays as it is
constexpr size_t kMostBytes = size_t{64} << 20;

int count_references(std::string_view mangled) {
  int count = 0;
  for (size_t i = 0; i + 1 < mangled.size(); ++i) {
    if (mangled[i] != 'S' && mangled[i] != 'T') continue;
    size_t end = i + 1;
    while (end < mangled.size() && ((mangled[end] >= '0' && mangled[end] <= '9') ||
                                    (mangled[end] >= 'A' && mangled[end] <= 'Z'))) {
      ++end;
    }
    if (end < mangled.size() && mangled[end] == '_') ++count;
  }
  return count;
}

// A name may refer back to its own parts, so it can be made to grow without bounds when it is
// printed. With n references it grows at most by a factor of 3^(n/3).
bool may_grow_too_large(std::string_view mangled) {
  size_t bytes = mangled.size();
  for (int left = count_references(mangled); left > 0 && bytes <= kMostBytes; left -= 3) bytes *= 3;
  return bytes > kMostBytes;
}

}  // namespace

std::string demangled(std::string_view name) {
  if (may_grow_too_large(name)) return std::string(name.substr(0, kLongest));
  const std::string text(name);
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> result(
      abi::__cxa_demangle(text.c_str(), nullptr, nullptr, &status), std::free);
  if (status == 0 && result != nullptr) return result.get();
  return text.substr(0, kLongest);
}

std::string demangled_symbol(std::string_view name) {
  return name.substr(0, 2) == "_Z" ? demangled(name) : std::string(name);
}

}  // namespace tide::host
