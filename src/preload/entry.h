// What all functions of this library begin with: probe/entry.h with the recording that the
// environment asks for.
#pragma once

#include "preload/next.h"
#include "probe/entry.h"

namespace tide::preload {

using probe::Call;
using probe::number;
using probe::set_busy;
using probe::ThreadStream;

TIDE_INLINE ThreadStream* enter(const void* frame) {
  return probe::enter(frame, NextFunctions::open);
}

template <class Write>
TIDE_INLINE void remark(const void* frame, Write write) {
  probe::remark(frame, NextFunctions::open, write);
}

}  // namespace tide::preload
