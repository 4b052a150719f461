// What the engine writes down for readers from outside when it starts.
#pragma once

namespace tide::api {

// Fills in layout::HeapHeader at `page`, which is zero. The engine's zones have their places.
void describe_heap(void* page);

}  // namespace tide::api
