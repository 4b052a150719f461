#include "trace/ctf_events.h"

#include <fmt/format.h>

namespace tide::trace {
namespace {

using Events = std::array<CtfEvent, format::kCallCount>;

constexpr CtfField kPtr = {"ptr", CtfValue::kPointer};
constexpr CtfField kSizeField = {"size", CtfValue::kSize};
constexpr CtfField kAlignment = {"alignment", CtfValue::kExtra0};
constexpr CtfField kForm = {"form", CtfValue::kExtra0};
constexpr CtfField kFormAlignment = {"alignment", CtfValue::kExtra1};
constexpr CtfField kTextField = {"text", CtfValue::kText};
// Viewers pass over it, and see a block that comes or goes.
constexpr CtfField kCall = {"call", CtfValue::kCallName};
constexpr const char* kMallocName = "lttng_ust_libc:malloc";
constexpr const char* kFreeName = "lttng_ust_libc:free";
constexpr const char* kMemalignName = "lttng_ust_libc:memalign";

constexpr Events make_events() {
  Events events{};
  const auto set = [&](Call call, CtfEvent event) { events[static_cast<size_t>(call)] = event; };
  set(Call::kMalloc, {kMallocName, {kSizeField, kPtr}});
  set(Call::kFree, {kFreeName, {kPtr}});
  set(Call::kCalloc,
      {"lttng_ust_libc:calloc",
       {CtfField{"nmemb", CtfValue::kExtra0}, CtfField{"size", CtfValue::kElementSize}, kPtr}});
  set(Call::kReallocDone,
      {"lttng_ust_libc:realloc", {CtfField{"in_ptr", CtfValue::kOldPointer}, kSizeField, kPtr}});
  set(Call::kMemalign, {kMemalignName, {kAlignment, kSizeField, kPtr}});
  set(Call::kPosixMemalign, {"lttng_ust_libc:posix_memalign",
                             {CtfField{"out_ptr", CtfValue::kPointer}, kAlignment, kSizeField,
                              CtfField{"result", CtfValue::kExtra1}}});
  set(Call::kAlignedAlloc, {kMemalignName, {kAlignment, kSizeField, kPtr, kCall}});
  set(Call::kValloc, {kMallocName, {kSizeField, kPtr, kCall}});
  set(Call::kPvalloc, {kMallocName, {kSizeField, kPtr, kCall}});
  set(Call::kFreeSized, {kFreeName, {kPtr, kSizeField, kCall}});
  set(Call::kFreeAlignedSized, {kFreeName, {kPtr, kAlignment, kSizeField, kCall}});
  set(Call::kNew, {kMallocName, {kSizeField, kPtr, kCall}});
  set(Call::kNewArray, {kMallocName, {kSizeField, kPtr, kCall}});
  set(Call::kNewForm, {kMemalignName, {kFormAlignment, kSizeField, kPtr, kForm, kCall}});
  set(Call::kDelete, {kFreeName, {kPtr, kSizeField, kCall}});
  set(Call::kDeleteArray, {kFreeName, {kPtr, kSizeField, kCall}});
  set(Call::kDeleteForm, {kFreeName, {kPtr, kForm, kFormAlignment, kSizeField, kCall}});
  set(Call::kMmap,
      {"tide:mmap",
       {kPtr, kSizeField, CtfField{"prot", CtfValue::kExtra0}, CtfField{"flags", CtfValue::kExtra1},
        CtfField{"descriptor_plus_1", CtfValue::kExtra2}, CtfField{"offset", CtfValue::kExtra3}}});
  set(Call::kMunmap, {"tide:munmap", {kPtr, kSizeField}});
  set(Call::kMremapDone,
      {"tide:mremap",
       {CtfField{"in_ptr", CtfValue::kOldPointer}, CtfField{"old_size", CtfValue::kSize},
        CtfField{"size", CtfValue::kExtra0}, CtfField{"flags", CtfValue::kExtra1}, kPtr}});
  set(Call::kBrk, {"tide:brk", {kPtr, kSizeField}});
  set(Call::kMadvise, {"tide:madvise", {kPtr, kSizeField, CtfField{"advice", CtfValue::kExtra0}}});
  set(Call::kThread,
      {"tide:thread",
       {CtfField{"what", CtfValue::kExtra0}, CtfField{"number", CtfValue::kExtra1}, kTextField}});
  set(Call::kProcess,
      {"tide:process",
       {CtfField{"what", CtfValue::kExtra0}, CtfField{"number", CtfValue::kExtra1}, kTextField}});
  set(Call::kNote, {"tide:note",
                    {CtfField{"what", CtfValue::kExtra0}, CtfField{"number", CtfValue::kExtra1},
                     CtfField{"second", CtfValue::kExtra2}, kTextField}});
  set(Call::kFailed, {"tide:failed", {CtfField{"error", CtfValue::kExtra0}}});
  return events;
}

constexpr Events kEvents = make_events();

const char* type_of(CtfValue value) {
  switch (value) {
    case CtfValue::kPointer:
    case CtfValue::kOldPointer:
      return "hex64_t";
    case CtfValue::kText:
    case CtfValue::kCallName:
      return "string";
    default:
      return "uint64_t";
  }
}

}  // namespace

const CtfEvent& ctf_event(Call call) { return kEvents[static_cast<size_t>(call)]; }

std::string ctf_event_metadata() {
  std::string text;
  for (size_t id = 0; id < kEvents.size(); ++id) {
    if (kEvents[id].name == nullptr) continue;
    text += fmt::format("event {{\n  name = \"{}\";\n  id = {};\n  stream_id = 0;\n",
                        kEvents[id].name, id);
    text += "  fields := struct {\n";
    for (const CtfField& field : kEvents[id].fields) {
      if (field.value == CtfValue::kEnd) break;
      text += fmt::format("    {} _{};\n", type_of(field.value), field.name);
    }
    text += "  };\n};\n\n";
  }
  return text;
}

}  // namespace tide::trace
