// Which events an exported CTF trace has, and which fields; their order is that in the file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "trace/event.h"

namespace tide::trace {

// Where a field of 64 bits comes from.
enum class CtfValue : uint8_t {
  kEnd,
  kSize,
  kElementSize,  // of calloc
  kPointer,
  kOldPointer,
  kExtra0,
  kExtra1,
  kExtra2,
  kExtra3,
  kText,
  kCallName,  // a text: what the call is, of those that share a name with LTTng's
};

struct CtfField {
  const char* name = nullptr;
  CtfValue value = CtfValue::kEnd;
};

struct CtfEvent {
  const char* name = nullptr;  // null: not in the trace; of several calls the same
  std::array<CtfField, 6> fields = {};
};

// By what it is called with; its number in the trace is that of the call.
const CtfEvent& ctf_event(Call call);

// The `event` blocks of the metadata.
std::string ctf_event_metadata();

}  // namespace tide::trace
