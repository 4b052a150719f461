#include "walk/heap.h"

namespace tide::walk {

const char* state_name(BlockState state) {
  switch (state) {
    case BlockState::kLive:
      return "live";
    case BlockState::kCached:
      return "cached";
    case BlockState::kWaiting:
      return "held back";
    case BlockState::kFree:
      return "free";
    case BlockState::kInFlight:
      return "in flight";
  }
  return "?";
}

}  // namespace tide::walk
