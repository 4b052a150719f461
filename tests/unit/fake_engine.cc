// The engine on the fake operating system, compiled once for all tests.
#include "tests/unit/engine_client.h"

namespace tide::heap {

template class Engine<tests::FakeVm>;

}  // namespace tide::heap
