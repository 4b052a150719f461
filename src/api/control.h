// What tide.h offers beyond the malloc family, without the names: heaps, the visit of all blocks,
// figures and options in C types. The names are in override/tide.cc.
// Contracts are in include/tide/tide.h and not repeated here.
#pragma once

#include <cstddef>

#include "tide/tide.h"

namespace tide::api {

tide_heap_t* heap_create(size_t limit);
void heap_destroy(tide_heap_t* heap);
void* heap_allocate(tide_heap_t* heap, size_t alignment, size_t bytes);
void* heap_allocate_array(tide_heap_t* heap, size_t count, size_t bytes);
void* heap_resize(tide_heap_t* heap, void* p, size_t bytes);
tide_heap_t* heap_of(const void* p);
tide_heap_stats heap_stats(tide_heap_t* heap);
void heap_set_limit(tide_heap_t* heap, size_t limit);
void heap_set_soft_limit(tide_heap_t* heap, size_t limit);

int heap_walk(tide_block_visitor visit, void* argument);
int describe(const void* address, tide_description& description);

tide_mallinfo mallinfo();
int stats_get(tide_stats* stats, size_t bytes);
size_t class_stats_get(tide_class_stats* classes, size_t count);
size_t thread_stats_get(tide_thread_stats* threads, size_t count);
size_t stats_into_buffer(tide_stats_format format, char* buffer, size_t bytes);
int stats_write(tide_stats_format format, tide_writer write, void* argument);

int limits_set(size_t soft, size_t hard);
void limits_get(size_t* soft, size_t* hard);

int option_get(const char* name, char* buffer, size_t bytes);
int option_set(const char* name, const char* value);
void option_list(tide_option_visitor visit, void* argument);

}  // namespace tide::api
