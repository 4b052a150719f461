// In everything but libtide.a: the loader has told the unwinder of all objects before we are
// called.
#include "sys/stack.h"

namespace tide::sys {

bool may_unwind() { return true; }

}  // namespace tide::sys
