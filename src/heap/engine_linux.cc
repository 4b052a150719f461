// The engine on the real operating system: its slow paths are compiled here, once.
#include "heap/engine_blocks.h"
#include "heap/engine_decay.h"
#include "heap/engine_heaps.h"
#include "heap/engine_limits.h"
#include "heap/engine_purge.h"
#include "heap/engine_resize.h"
#include "heap/engine_sampling.h"
#include "heap/engine_survey.h"
#include "heap/engine_trade.h"
#include "heap/engine_verify.h"

namespace tide::heap {

template class Engine<sys::LinuxVm>;

}  // namespace tide::heap
