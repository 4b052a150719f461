// Whether a text begins with another. Its own starts_with() may throw, as far as a compiler that
// does not optimise can tell, and then wants the C++ library.
#pragma once

#include <string_view>

namespace tide::base {

inline bool starts_with(std::string_view text, std::string_view beginning) {
  return text.size() >= beginning.size() &&
         std::string_view(text.data(), beginning.size()) == beginning;
}

}  // namespace tide::base
