#include "preload/carried.h"

#include <cstring>
#include <string_view>

#include "preload/next.h"
#include "preload/sampling.h"
#include "probe/recorded_process.h"

namespace tide::preload {

namespace {

constexpr std::string_view kVariable = "LD_PRELOAD=";
// More is not put on a stack.
constexpr size_t kMostBytes = size_t{256} << 10;

// No substr(): it may throw.
std::string_view file_name(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);  // npos + 1 is 0
  return path;
}

// Whether the library is in the list, perhaps by another path.
bool is_in(std::string_view list, std::string_view library) {
  while (!list.empty()) {
    size_t end = 0;
    while (end < list.size() && list[end] != ':' && list[end] != ' ') ++end;
    if (file_name({list.data(), end}) == file_name(library)) return true;
    list.remove_prefix(end < list.size() ? end + 1 : end);
  }
  return false;
}

struct Environment {
  size_t count;          // with the null at its end
  const char* preloads;  // the variable; null: not set
};
Environment survey(const char* const* environment) {
  Environment result{1, nullptr};
  for (; *environment != nullptr; ++environment, ++result.count) {
    if (result.preloads == nullptr &&
        strncmp(*environment, kVariable.data(), kVariable.size()) == 0) {
      result.preloads = *environment;
    }
  }
  return result;
}

}  // namespace

size_t carried_bytes(const char* const* environment) {
  const std::string_view own = own_path();
  const bool is_at_work = probe::known_slot() != nullptr || is_sampling();
  if (environment == nullptr || own.empty() || !is_at_work) return 0;
  const Environment its = survey(environment);
  if (its.preloads == nullptr) return 0;
  const std::string_view list = its.preloads + kVariable.size();
  if (is_in(list, own)) return 0;
  const size_t text = kVariable.size() + own.size() + 1 + list.size() + 1;
  const size_t bytes = its.count * sizeof(char*) + text;
  return bytes <= kMostBytes ? bytes : 0;
}

char* const* carry(const char* const* environment, void* memory) {
  const std::string_view own = own_path();
  const Environment its = survey(environment);
  auto** const copy = static_cast<const char**>(memory);
  auto* const text = reinterpret_cast<char*>(copy + its.count);
  for (size_t i = 0; i < its.count; ++i) {
    copy[i] = environment[i] == its.preloads && its.preloads != nullptr ? text : environment[i];
  }
  char* at = text;
  const auto put = [&](std::string_view part) {
    memcpy(at, part.data(), part.size());
    at += part.size();
  };
  put(kVariable);
  put(own);
  put(":");
  put(its.preloads + kVariable.size());
  *at = '\0';
  return const_cast<char* const*>(copy);
}

}  // namespace tide::preload
