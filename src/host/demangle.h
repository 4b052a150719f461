// Names of functions and types as people write them.
#pragma once

#include <string>
#include <string_view>

namespace tide::host {

// A mangled name of a symbol or a type ("_ZTV3Foo", "3Foo"); as it is when it is none. One that
// could become very long stays as it is, cut where it is long itself.
std::string demangled(std::string_view name);

// The name of a symbol. Without the prefix it is one of C: a function w would be a wchar_t.
std::string demangled_symbol(std::string_view name);

}  // namespace tide::host
