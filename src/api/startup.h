// What is decided before the first block is handed out, and again in a forked child.
#pragma once

#include "heap/config.h"

namespace tide::api {

// The engine's configuration as the options say. May be called more than once and from several
// threads at once; does not allocate. Defined in options.cc.
heap::Config config_from_options();

// In a forked child: another thread may have been setting an option.
void repair_options_in_child();

}  // namespace tide::api
