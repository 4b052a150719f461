// Which family of calls a block comes from; hardened mode reports the mismatch.
#pragma once

#include <cstdint>

namespace tide::api {

enum class Origin : uint8_t {
  kMalloc,
  kNew,
  kNewArray,
};

}  // namespace tide::api
