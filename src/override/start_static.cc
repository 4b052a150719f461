// Only in libtide.a: in a static program the C library itself allocates for the tables that the
// unwinder asks, and must not be asked before they are there. They are when constructors run.
#include "sys/stack.h"

namespace tide::sys {
namespace {

bool g_runs_constructors = false;
__attribute__((constructor(101))) void note_constructors() { g_runs_constructors = true; }

}  // namespace

bool may_unwind() { return g_runs_constructors; }

}  // namespace tide::sys
