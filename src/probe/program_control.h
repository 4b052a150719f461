// What the functions of tide/trace.h do: a program about the recording of itself. Results are
// theirs: 0, or -1 with errno.
#pragma once

#include "probe/entry.h"

namespace tide::probe {

bool trace_active(const void* frame, Opener* open);
int trace_pause(const void* frame, Opener* open);
int trace_resume(const void* frame, Opener* open);
int trace_stop(const void* frame, Opener* open);
int trace_sync(const void* frame, Opener* open);
int trace_reset(const void* frame, Opener* open);
int trace_marker(const void* frame, Opener* open, const char* name);

}  // namespace tide::probe
