// All replaceable forms of operator new and delete. No logic: every body is a call. See
// api/operator_new.h for what happens when there is no memory, and for why the library still does
// not depend on a C++ runtime.
#include <new>

#include "api/c_family.h"
#include "api/operator_new.h"
#include "override/entry.h"

namespace api = tide::api;

namespace {

size_t number(std::align_val_t alignment) { return static_cast<size_t>(alignment); }

}  // namespace

TIDE_ENTRY void* operator new(size_t bytes) { return api::new_block(bytes, api::Origin::kNew); }

TIDE_ENTRY void* operator new[](size_t bytes) {
  return api::new_block(bytes, api::Origin::kNewArray);
}

TIDE_ENTRY void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return api::new_block_nothrow(bytes, api::Origin::kNew);
}

TIDE_ENTRY void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return api::new_block_nothrow(bytes, api::Origin::kNewArray);
}

TIDE_ENTRY void* operator new(size_t bytes, std::align_val_t alignment) {
  return api::new_aligned(bytes, number(alignment), api::Origin::kNew);
}

TIDE_ENTRY void* operator new[](size_t bytes, std::align_val_t alignment) {
  return api::new_aligned(bytes, number(alignment), api::Origin::kNewArray);
}

TIDE_ENTRY void* operator new(size_t bytes, std::align_val_t alignment,
                              const std::nothrow_t&) noexcept {
  return api::new_aligned_nothrow(bytes, number(alignment), api::Origin::kNew);
}

TIDE_ENTRY void* operator new[](size_t bytes, std::align_val_t alignment,
                                const std::nothrow_t&) noexcept {
  return api::new_aligned_nothrow(bytes, number(alignment), api::Origin::kNewArray);
}

TIDE_ENTRY void operator delete(void* p) noexcept { api::release(p, api::Origin::kNew); }

TIDE_ENTRY void operator delete[](void* p) noexcept { api::release(p, api::Origin::kNewArray); }

TIDE_ENTRY void operator delete(void* p, const std::nothrow_t&) noexcept {
  api::release(p, api::Origin::kNew);
}

TIDE_ENTRY void operator delete[](void* p, const std::nothrow_t&) noexcept {
  api::release(p, api::Origin::kNewArray);
}

TIDE_ENTRY void operator delete(void* p, size_t bytes) noexcept {
  api::release_sized(p, bytes, api::Origin::kNew);
}

TIDE_ENTRY void operator delete[](void* p, size_t bytes) noexcept {
  api::release_sized(p, bytes, api::Origin::kNewArray);
}

TIDE_ENTRY void operator delete(void* p, std::align_val_t) noexcept {
  api::release(p, api::Origin::kNew);
}

TIDE_ENTRY void operator delete[](void* p, std::align_val_t) noexcept {
  api::release(p, api::Origin::kNewArray);
}

TIDE_ENTRY void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  api::release(p, api::Origin::kNew);
}

TIDE_ENTRY void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  api::release(p, api::Origin::kNewArray);
}

TIDE_ENTRY void operator delete(void* p, size_t bytes, std::align_val_t) noexcept {
  api::release_aligned_sized(p, bytes, api::Origin::kNew);
}

TIDE_ENTRY void operator delete[](void* p, size_t bytes, std::align_val_t) noexcept {
  api::release_aligned_sized(p, bytes, api::Origin::kNewArray);
}

// As the compiler spells them on 64-bit machines.
TIDE_NAME_ENTRY(new_block, "_Znwm");
TIDE_NAME_ENTRY(new_array, "_Znam");
TIDE_NAME_ENTRY(new_nothrow, "_ZnwmRKSt9nothrow_t");
TIDE_NAME_ENTRY(new_array_nothrow, "_ZnamRKSt9nothrow_t");
TIDE_NAME_ENTRY(new_aligned, "_ZnwmSt11align_val_t");
TIDE_NAME_ENTRY(new_array_aligned, "_ZnamSt11align_val_t");
TIDE_NAME_ENTRY(new_aligned_nothrow, "_ZnwmSt11align_val_tRKSt9nothrow_t");
TIDE_NAME_ENTRY(new_array_aligned_nothrow, "_ZnamSt11align_val_tRKSt9nothrow_t");
TIDE_NAME_ENTRY(delete_block, "_ZdlPv");
TIDE_NAME_ENTRY(delete_array, "_ZdaPv");
TIDE_NAME_ENTRY(delete_nothrow, "_ZdlPvRKSt9nothrow_t");
TIDE_NAME_ENTRY(delete_array_nothrow, "_ZdaPvRKSt9nothrow_t");
TIDE_NAME_ENTRY(delete_sized, "_ZdlPvm");
TIDE_NAME_ENTRY(delete_array_sized, "_ZdaPvm");
TIDE_NAME_ENTRY(delete_aligned, "_ZdlPvSt11align_val_t");
TIDE_NAME_ENTRY(delete_array_aligned, "_ZdaPvSt11align_val_t");
TIDE_NAME_ENTRY(delete_aligned_nothrow, "_ZdlPvSt11align_val_tRKSt9nothrow_t");
TIDE_NAME_ENTRY(delete_array_aligned_nothrow, "_ZdaPvSt11align_val_tRKSt9nothrow_t");
TIDE_NAME_ENTRY(delete_sized_aligned, "_ZdlPvmSt11align_val_t");
TIDE_NAME_ENTRY(delete_array_sized_aligned, "_ZdaPvmSt11align_val_t");

// Out of libtide.a it comes with this file.
TIDE_KEPT constinit static const tide::layout::EntryRow* const g_entries = tide_new_entries;
