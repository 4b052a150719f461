// The process's engine and what tells readers from outside about it, in one file: out of libtide.a
// whoever takes the engine takes its description, too.
#include "api/heap_root.h"

#include <cstring>

#include "api/allocate.h"
#include "api/attach.h"
#include "api/guarded.h"
#include "api/hardened_fast.h"
#include "api/profile.h"
#include "api/seal.h"
#include "base/compiler.h"
#include "heap/engine_map.h"
#include "layout/heap_header.h"
#include "layout/heap_note.h"
#include "layout/heap_root.h"

namespace tide::api {

// All zero, so that it is neither in the file nor resident where it was only read; the compiler
// refuses anything else in this section.
constinit RealEngine g_engine __attribute__((section(".bss.engine")));

namespace {

// Not constants, so that they lie with the root in the library's data, which cores have.
constinit heap::EngineMap::ClassRows g_class_rows = heap::EngineMap::class_rows<sys::LinuxVm>();
constinit heap::EngineMap::StackRows g_stack_rows = heap::EngineMap::stack_rows();
constinit char g_version[] = TIDE_VERSION;

constexpr layout::HeapRoot make_root(const layout::HeapRoot* self) {
  layout::HeapRoot root = heap::EngineMap::root(g_engine, g_class_rows, g_stack_rows);
  root.library_version = g_version;
  root.self = self;
  root.guards = &g_guard_pool;
  root.guard_pool = probe::GuardPool::map();
  root.profile = g_samples.table();
  root.hardening.level = &g_harden;
  root.hardening.standing_seals = &g_has_standing_seals;
  root.hardening.quarantine = &g_quarantine;
  root.hardening.seal_bytes = kSealBytes;
  root.hardening.guard_level = kGuardLevel;
  Quarantine::add_to(root.hardening);
  root.seal_secret = &g_secret;
  root.recording = &g_recording_root;
  return root;
}

}  // namespace
}  // namespace tide::api

// Nobody refers to it by name; it must not be dropped for that.
extern "C" {
extern TIDE_EXPORT tide::layout::HeapRoot tide_heap_root;
TIDE_KEPT constinit tide::layout::HeapRoot tide_heap_root = tide::api::make_root(&tide_heap_root);

// The note (layout/heap_note.h) needs a name for it that no other file can take over.
extern TIDE_KEPT tide::layout::HeapRoot tide_noted_root
    __attribute__((alias("tide_heap_root"), visibility("hidden")));
}

namespace tide::api {

void describe_heap(void* page) {
  auto& header = *static_cast<layout::HeapHeader*>(page);
  header.self = reinterpret_cast<uintptr_t>(page);
  header.root_address = reinterpret_cast<uintptr_t>(&tide_heap_root);
  header.root = tide_heap_root;
  header.zones[0] = heap::EngineMap::header(g_engine.space().small);
  header.zones[1] = heap::EngineMap::header(g_engine.space().mid);
  header.large_base = g_engine.space().plan.large_zone();
  header.large_entries = g_engine.space().plan.span_entries();
  header.class_count = layout::kClassCount;
  for (uint32_t c = 1; c < layout::kClassCount; ++c) {
    header.block_bytes[c] = g_class_rows[c].block_bytes;
  }
  header.harden = g_harden;
  header.standing_seals = g_has_standing_seals;
  memcpy(header.library_version, g_version,
         sizeof g_version < sizeof header.library_version ? sizeof g_version
                                                          : sizeof header.library_version - 1);
  header.magic = layout::kHeapHeaderMagic;  // last: now it is whole
}

}  // namespace tide::api

__asm__(
    ".pushsection .note.tide, \"a\", %note\n"
    ".balign 4\n"
    ".long 5, 12, 1\n"  // bytes of the owner and of the descriptor, kNoteType
    ".asciz \"Tide\"\n"
    ".balign 4\n"
    "1: .quad tide_noted_root - 1b\n"
    ".long 1\n"  // kNoteVersion
    ".popsection\n");
static_assert(sizeof tide::layout::kNoteOwner == 5 && tide::layout::kNoteAt.bytes == 12);
static_assert(tide::layout::kNoteType == 1 && tide::layout::kNoteVersion == 1);
