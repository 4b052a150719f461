// The functions of tide.h that have no sibling in the C library (those are in malloc.cc). No logic:
// every body is a call; contracts are in include/tide/tide.h.
#include "api/allocate.h"
#include "api/c_family.h"
#include "api/control.h"
#include "api/profile.h"
#include "layout/constants.h"

namespace api = tide::api;

extern "C" {

TIDE_EXPORT const char* tide_version() noexcept { return TIDE_VERSION; }

TIDE_EXPORT size_t tide_malloc_usable_size(const void* p) noexcept { return api::usable_size(p); }

TIDE_EXPORT size_t tide_good_size(size_t bytes) noexcept { return api::good_size(bytes); }

TIDE_EXPORT tide_mallinfo tide_mallinfo2() noexcept { return api::mallinfo(); }

TIDE_EXPORT tide_heap_t* tide_heap_create(size_t limit) noexcept { return api::heap_create(limit); }

TIDE_EXPORT void tide_heap_destroy(tide_heap_t* heap) noexcept { api::heap_destroy(heap); }

TIDE_EXPORT void* tide_heap_malloc(tide_heap_t* heap, size_t bytes) noexcept {
  return api::heap_allocate(heap, tide::layout::kMinAlignment, bytes);
}

TIDE_EXPORT void* tide_heap_calloc(tide_heap_t* heap, size_t count, size_t bytes) noexcept {
  return api::heap_allocate_array(heap, count, bytes);
}

TIDE_EXPORT void* tide_heap_aligned_alloc(tide_heap_t* heap, size_t alignment,
                                          size_t bytes) noexcept {
  return api::heap_allocate(heap, alignment, bytes);
}

TIDE_EXPORT void* tide_heap_realloc(tide_heap_t* heap, void* p, size_t bytes) noexcept {
  return api::heap_resize(heap, p, bytes);
}

TIDE_EXPORT tide_heap_t* tide_heap_of(const void* p) noexcept { return api::heap_of(p); }

TIDE_EXPORT tide_heap_stats tide_heap_get_stats(tide_heap_t* heap) noexcept {
  return api::heap_stats(heap);
}

TIDE_EXPORT size_t tide_heap_get_limit(tide_heap_t* heap) noexcept {
  return api::heap_stats(heap).limit_bytes;
}

TIDE_EXPORT void tide_heap_set_limit(tide_heap_t* heap, size_t limit) noexcept {
  api::heap_set_limit(heap, limit);
}

TIDE_EXPORT size_t tide_heap_get_soft_limit(tide_heap_t* heap) noexcept {
  return api::heap_stats(heap).soft_limit_bytes;
}

TIDE_EXPORT void tide_heap_set_soft_limit(tide_heap_t* heap, size_t limit) noexcept {
  api::heap_set_soft_limit(heap, limit);
}

TIDE_EXPORT size_t tide_purge(size_t target) noexcept { return api::purge_to(target); }

TIDE_EXPORT int tide_set_limits(size_t soft, size_t hard) noexcept {
  return api::limits_set(soft, hard);
}

TIDE_EXPORT void tide_get_limits(size_t* soft, size_t* hard) noexcept {
  api::limits_get(soft, hard);
}

TIDE_EXPORT int tide_heap_walk(tide_block_visitor visit, void* argument) {
  return api::heap_walk(visit, argument);
}

TIDE_EXPORT int tide_visit_blocks(tide_block_visitor visit, void* argument) {
  return api::heap_walk(visit, argument);
}

TIDE_EXPORT int tide_describe(const void* address, tide_description* description) noexcept {
  return api::describe(address, *description);
}

TIDE_EXPORT int tide_stats_get(tide_stats* stats, size_t bytes) noexcept {
  return api::stats_get(stats, bytes);
}

TIDE_EXPORT size_t tide_class_stats_get(tide_class_stats* classes, size_t count) noexcept {
  return api::class_stats_get(classes, count);
}

TIDE_EXPORT size_t tide_thread_stats_get(tide_thread_stats* threads, size_t count) noexcept {
  return api::thread_stats_get(threads, count);
}

TIDE_EXPORT size_t tide_stats_json(char* buffer, size_t bytes) noexcept {
  return api::stats_into_buffer(TIDE_STATS_JSON, buffer, bytes);
}

TIDE_EXPORT size_t tide_stats_text(char* buffer, size_t bytes) noexcept {
  return api::stats_into_buffer(TIDE_STATS_TEXT, buffer, bytes);
}

TIDE_EXPORT size_t tide_stats_prometheus(char* buffer, size_t bytes) noexcept {
  return api::stats_into_buffer(TIDE_STATS_PROMETHEUS, buffer, bytes);
}

TIDE_EXPORT int tide_stats_write(tide_stats_format format, tide_writer write, void* argument) {
  return api::stats_write(format, write, argument);
}

TIDE_EXPORT int tide_option_get(const char* name, char* buffer, size_t bytes) noexcept {
  return api::option_get(name, buffer, bytes);
}

TIDE_EXPORT int tide_option_set(const char* name, const char* value) noexcept {
  return api::option_set(name, value);
}

TIDE_EXPORT void tide_option_list(tide_option_visitor visit, void* argument) {
  api::option_list(visit, argument);
}

TIDE_EXPORT int tide_profile_start(size_t rate) noexcept { return api::profile_start(rate); }

TIDE_EXPORT void tide_profile_stop() noexcept { api::profile_stop(); }

TIDE_EXPORT void tide_profile_reset() noexcept { api::profile_reset(); }

TIDE_EXPORT size_t tide_profile_rate() noexcept { return api::profile_gap(); }

TIDE_EXPORT int tide_profile_write(int descriptor) noexcept {
  return api::profile_write(descriptor);
}

}  // extern "C"
