// A recording that begins and ends while the program runs (`tide trace --pid`), as it is seen from
// inside: layout/recording_root.h.
#pragma once

#include "layout/recording_root.h"
#include "probe/entry.h"

namespace tide::api {

extern layout::RecordingRoot g_recording_root __attribute__((visibility("hidden")));

// Once, before anybody can be recorded.
void describe_threads();

// In a forked child: the thread that was at the start of the recording is not there.
void forget_starting();

// A probe::Opener.
probe::ThreadStream* open_attached();

}  // namespace tide::api
