// All replaceable forms of operator new and delete. No logic: every body is a call. See
// api/operator_new.h for what happens when there is no memory, and for why the library still does
// not depend on a C++ runtime.
#include <new>

#include "api/c_family.h"
#include "api/operator_new.h"

namespace api = tide::api;

namespace {

size_t number(std::align_val_t alignment) { return static_cast<size_t>(alignment); }

}  // namespace

TIDE_EXPORT void* operator new(size_t bytes) { return api::new_block(bytes, api::Origin::kNew); }

TIDE_EXPORT void* operator new[](size_t bytes) {
  return api::new_block(bytes, api::Origin::kNewArray);
}

TIDE_EXPORT void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return api::new_block_nothrow(bytes, api::Origin::kNew);
}

TIDE_EXPORT void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return api::new_block_nothrow(bytes, api::Origin::kNewArray);
}

TIDE_EXPORT void* operator new(size_t bytes, std::align_val_t alignment) {
  return api::new_aligned(bytes, number(alignment), api::Origin::kNew);
}

TIDE_EXPORT void* operator new[](size_t bytes, std::align_val_t alignment) {
  return api::new_aligned(bytes, number(alignment), api::Origin::kNewArray);
}

TIDE_EXPORT void* operator new(size_t bytes, std::align_val_t alignment,
                               const std::nothrow_t&) noexcept {
  return api::new_aligned_nothrow(bytes, number(alignment), api::Origin::kNew);
}

TIDE_EXPORT void* operator new[](size_t bytes, std::align_val_t alignment,
                                 const std::nothrow_t&) noexcept {
  return api::new_aligned_nothrow(bytes, number(alignment), api::Origin::kNewArray);
}

TIDE_EXPORT void operator delete(void* p) noexcept { api::release(p, api::Origin::kNew); }

TIDE_EXPORT void operator delete[](void* p) noexcept { api::release(p, api::Origin::kNewArray); }

TIDE_EXPORT void operator delete(void* p, const std::nothrow_t&) noexcept {
  api::release(p, api::Origin::kNew);
}

TIDE_EXPORT void operator delete[](void* p, const std::nothrow_t&) noexcept {
  api::release(p, api::Origin::kNewArray);
}

TIDE_EXPORT void operator delete(void* p, size_t bytes) noexcept {
  api::release_sized(p, bytes, api::Origin::kNew);
}

TIDE_EXPORT void operator delete[](void* p, size_t bytes) noexcept {
  api::release_sized(p, bytes, api::Origin::kNewArray);
}

TIDE_EXPORT void operator delete(void* p, std::align_val_t) noexcept {
  api::release(p, api::Origin::kNew);
}

TIDE_EXPORT void operator delete[](void* p, std::align_val_t) noexcept {
  api::release(p, api::Origin::kNewArray);
}

TIDE_EXPORT void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  api::release(p, api::Origin::kNew);
}

TIDE_EXPORT void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  api::release(p, api::Origin::kNewArray);
}

TIDE_EXPORT void operator delete(void* p, size_t bytes, std::align_val_t) noexcept {
  api::release_aligned_sized(p, bytes, api::Origin::kNew);
}

TIDE_EXPORT void operator delete[](void* p, size_t bytes, std::align_val_t) noexcept {
  api::release_aligned_sized(p, bytes, api::Origin::kNewArray);
}
