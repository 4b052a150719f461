// The process's engine and what tells readers from outside about it, in one file: out of libtide.a
// whoever takes the engine takes its description, too.
#include "layout/heap_root.h"
#include "api/allocate.h"
#include "base/compiler.h"
#include "heap/engine_map.h"

namespace tide::api {

constinit RealEngine g_engine;

}  // namespace tide::api

// Nobody refers to it by name; it must not be dropped for that.
extern "C" TIDE_EXPORT TIDE_KEPT constinit const tide::layout::HeapRoot tide_heap_root =
    tide::heap::EngineMap::root(tide::api::g_engine);
