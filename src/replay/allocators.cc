#include "replay/allocators.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "host/error.h"
#include "host/preload.h"

namespace tide::replay {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLibraryFolders[] = {"/usr/lib/*-linux-gnu", "/lib/*-linux-gnu", "/usr/lib64",
                                           "/usr/lib", "/usr/local/lib"};

struct Known {
  std::string_view name;
  std::string_view library;  // below a library folder, or an absolute pattern; empty: special
  std::string_view package;
  // How an option becomes part of the environment: the variable (with %: the option's name in
  // capitals in its place) and, where all options share one, what stands before, in and between
  // the assignments.
  std::string_view variable;
  std::string_view prefix;
  char assign;
  char separator;
};
constexpr Known kKnown[] = {
    {"tide", "", "", "TIDE_%", "", 0, 0},
    {"glibc", "", "", "GLIBC_TUNABLES", "glibc.malloc.", '=', ':'},
    {"jemalloc", "libjemalloc.so.2", "libjemalloc2", "MALLOC_CONF", "", ':', ','},
    {"mimalloc", "libmimalloc.so.2", "libmimalloc2.0", "MIMALLOC_%", "", 0, 0},
    {"tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4", "TCMALLOC_%", "", 0, 0},
    {"tbbmalloc", "libtbbmalloc_proxy.so.2", "libtbbmalloc2", "TBB_MALLOC_%", "", 0, 0},
    {"scudo", "/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-*64.so",
     "libclang-rt-14-dev", "SCUDO_OPTIONS", "", '=', ':'},
};

const Known* find_known(std::string_view name) {
  if (name == "tbb") name = "tbbmalloc";
  for (const Known& known : kKnown) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

std::string known_names() {
  std::string names;
  for (const Known& known : kKnown)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  return names;
}

// The newest file that the pattern means; empty: none.
std::string find_library(std::string_view pattern) {
  std::vector<std::string> patterns;
  if (pattern.starts_with('/')) {
    patterns.emplace_back(pattern);
  } else {
    for (const char* folder : kLibraryFolders)
      patterns.push_back(fmt::format("{}/{}", folder, pattern));
  }
  for (const std::string& each : patterns) {
    glob_t found{};
    std::string path;
    if (glob(each.c_str(), 0, nullptr, &found) == 0 && found.gl_pathc != 0) {
      path = found.gl_pathv[found.gl_pathc - 1];
    }
    globfree(&found);
    if (!path.empty()) return path;
  }
  return {};
}

// What stands in `text` up to the next `separator`, which is taken off with it.
std::string take(std::string_view& text, char separator) {
  const size_t end = std::min(text.find(separator), text.size());
  std::string part(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

bool is_variable(std::string_view option) {
  return !option.empty() && std::none_of(option.begin(), option.end(), [](char c) {
    return std::islower(static_cast<unsigned char>(c)) != 0 || c == '.';
  });
}

std::string capitals(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

void set_variable(Allocator& allocator, const std::string& name, const std::string& value,
                  char separator) {
  for (auto& [known, text] : allocator.variables) {
    if (known != name) continue;
    text = separator == 0 ? value : text + separator + value;
    return;
  }
  allocator.variables.emplace_back(name, value);
}

void add_option(Allocator& allocator, const std::string& option, const std::string& value) {
  allocator.options.emplace_back(option, value);
  allocator.label += fmt::format(" {}={}", option, value);
  if (is_variable(option)) return set_variable(allocator, option, value, 0);
  const Known* const known = find_known(allocator.name);
  if (known == nullptr) {
    throw host::Error(
        fmt::format("'{}': of an allocator by path only variables of the environment can be set, "
                    "in capitals, as {}:VARIABLE=VALUE",
                    option, allocator.name),
        host::kExitUsage);
  }
  std::string variable(known->variable);
  if (const size_t place = variable.find('%'); place != std::string::npos) {
    return set_variable(allocator, variable.replace(place, 1, capitals(option)), value, 0);
  }
  const bool has_prefix = option.starts_with(known->prefix);
  set_variable(
      allocator, variable,
      fmt::format("{}{}{}{}", has_prefix ? "" : known->prefix, option, known->assign, value),
      known->separator);
}

std::string library_of(const std::string& name) {
  const Known* const known = find_known(name);
  if (known == nullptr) {
    throw host::Error(fmt::format("there is no allocator '{}'; known are {}; any other is given as "
                                  "NAME=PATH",
                                  name, known_names()),
                      host::kExitUsage);
  }
  if (known->name == "glibc") return {};
  if (known->name == "tide") return host::find_own_library();
  const std::string path = find_library(known->library);
  if (path.empty()) {
    throw host::Error(
        fmt::format("'{}' is not installed; try: apt-get install {}", name, known->package));
  }
  return path;
}

}  // namespace

host::Environment Allocator::environment() const {
  host::Environment environment;
  environment.unset("LD_PRELOAD");
  if (!library.empty()) environment.set("LD_PRELOAD", library);
  for (const auto& [variable, value] : variables) environment.set(variable, value);
  return environment;
}

Allocator parse_allocator(const std::string& text) {
  std::string_view rest = text;
  std::string head = take(rest, ':');
  Allocator allocator;
  const size_t equals = head.find('=');
  allocator.name = head.substr(0, equals);
  if (allocator.name.empty()) {
    throw host::Error(fmt::format("'{}' names no allocator: NAME or NAME=PATH", text),
                      host::kExitUsage);
  }
  if (equals == std::string::npos) {
    allocator.library = library_of(allocator.name);
  } else {
    const std::string path = head.substr(equals + 1);
    if (!fs::is_regular_file(path)) {
      throw host::Error(fmt::format("{}: there is no file '{}'", allocator.name, path));
    }
    allocator.library = path;
  }
  if (!allocator.library.empty()) {
    try {
      allocator.library = host::open_preload_library(allocator.library).path;
    } catch (const host::Error& error) {
      throw host::Error(fmt::format("{}: {}", allocator.name, error.what()));
    }
  }
  allocator.label = allocator.name;
  while (!rest.empty()) {
    std::string_view option_text = rest;
    const std::string setting = take(rest, ':');
    const size_t assign = setting.find('=');
    if (assign == std::string::npos || assign == 0) {
      throw host::Error(
          fmt::format("{}: '{}' is not of the form OPTION=VALUE", allocator.name, option_text),
          host::kExitUsage);
    }
    add_option(allocator, setting.substr(0, assign), setting.substr(assign + 1));
  }
  return allocator;
}

Allocator with_option(const Allocator& allocator, const std::string& option,
                      const std::string& value) {
  Allocator result = allocator;
  add_option(result, option, value);
  return result;
}

std::vector<Allocator> installed_allocators() {
  std::vector<Allocator> allocators;
  for (const Known& known : kKnown) {
    if (!known.library.empty() && find_library(known.library).empty()) continue;
    allocators.push_back(parse_allocator(std::string(known.name)));
  }
  return allocators;
}

}  // namespace tide::replay
