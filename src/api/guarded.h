// Sampled guards: one allocation in many lies against a guard page (probe/guard_pool.h), so that
// its misuse faults at once and is shown with the stacks that allocated and freed it.
//
// Whether an allocation's turn has come is asked in slow paths only. A thread that goes on with
// what its cache has is not sampled meanwhile; each slow path counts for the blocks that it
// brought.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "probe/guard_pool.h"

namespace tide::api {

// Allocations of the calling thread until one is guarded: 0 or less says that its turn has come.
extern constinit thread_local int64_t t_until_guarded
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

extern constinit probe::GuardPool g_guard_pool __attribute__((visibility("hidden")));

// Below this rate every single allocation counts, for which all of them must take the slow path.
inline constexpr uint64_t kExactRate = 1000;

// One allocation in `rate`, 0 for none. Before the first block.
void start_guards(uint64_t rate);

// A guarded block, or null: the turn has not come after all, or it can't be had.
void* guard_now(size_t bytes, size_t alignment);

// Frees `p` if it is a guarded block; ends the process when it only was or is near one. False: no
// address of ours.
bool release_guarded(void* p);
// What a live guarded block was asked for with; 0: no address of ours. Ends the process, with
// `call` in the line, for other addresses of ours.
size_t guarded_bytes(const char* call, const void* p);

// visit(block, bytes, argument) for every live guarded block until it returns false; then false.
bool visit_guarded(bool (*visit)(void* block, size_t bytes, void* argument), void* argument);

// Says on standard error what is at an address where an access failed. False: nothing of ours.
bool explain_guarded_fault(uintptr_t address);

void repair_guards_in_child();

}  // namespace tide::api
