/* tide.h in strict C99, and that each of its functions can be called from C. */
#include "tide/tide.h"

#include <stdlib.h>
#include <string.h>

static int failures = 0;

static void expect(int condition, const char* text) {
  if (condition) return;
  fprintf(stderr, "not true: %s\n", text);
  ++failures;
}
#define EXPECT(condition) expect((condition) != 0, #condition)

static int count_block(const struct tide_block* block, void* argument) {
  *(size_t*)argument += block->usable_bytes;
  return 1;
}

static int count_option(const struct tide_option* option, void* argument) {
  *(int*)argument += option->name[0] != '\0';
  return 1;
}

static void count_text(const char* text, size_t length, void* argument) {
  (void)text;
  *(size_t*)argument += length;
}

static void call_family(void) {
  void* p = tide_malloc(10);
  EXPECT(p != NULL);
  p = tide_realloc(p, 100);
  p = tide_reallocarray(p, 20, 20);
  EXPECT(tide_malloc_usable_size(p) >= 400);
  tide_free(p);
  tide_free_sized(tide_calloc(2, 5), 10);
  tide_free_aligned_sized(tide_aligned_alloc(64, 10), 64, 10);
  EXPECT(tide_posix_memalign(&p, 64, 10) == 0);
  tide_free(p);
  tide_free(tide_memalign(64, 10));
  tide_free(tide_valloc(10));
  tide_free(tide_pvalloc(10));
  EXPECT(tide_good_size(10) == 16);
  EXPECT(tide_malloc_trim(0) == 0 || 1);
  EXPECT(tide_purge(TIDE_LIMIT_AUTO) == 0);
  EXPECT(tide_mallopt(-8, 1) == 1);
  EXPECT(tide_mallinfo2().uordblks <= tide_mallinfo2().arena);
}

static void call_heaps(void) {
  tide_heap_t* const heap = tide_heap_create(1 << 20);
  void* p = tide_heap_malloc(heap, 100);
  EXPECT(tide_heap_of(p) == heap);
  p = tide_heap_realloc(heap, p, 1000);
  EXPECT(tide_heap_get_stats(heap).live_blocks == 1);
  tide_free(p);
  EXPECT(tide_heap_calloc(heap, 2, 10) != NULL);
  EXPECT(tide_heap_aligned_alloc(heap, 64, 10) != NULL);
  tide_heap_set_limit(heap, 2 << 20);
  tide_heap_set_soft_limit(heap, 1 << 20);
  EXPECT(tide_heap_get_soft_limit(heap) == 1 << 20);
  EXPECT(tide_set_limits(0, 0) == 0);
  tide_get_limits(NULL, NULL);
  EXPECT(tide_heap_get_limit(heap) == 2 << 20);
  tide_heap_destroy(heap);
}

static void call_figures(void) {
  struct tide_stats stats;
  struct tide_description description;
  struct tide_class_stats classes[4];
  char buffer[64];
  size_t bytes = 0;
  size_t length = 0;
  int options = 0;
  void* const p = tide_malloc(10);
  EXPECT(tide_heap_walk(count_block, &bytes) == 1);
  EXPECT(bytes > 0);
  EXPECT(tide_describe(p, &description) == 1);
  EXPECT(description.state == TIDE_LIVE && description.block == p);
  tide_free(p);
  EXPECT(tide_stats_get(&stats, sizeof stats) == 0);
  EXPECT(stats.version == TIDE_STATS_VERSION);
  EXPECT(tide_class_stats_get(classes, 4) > 4);
  EXPECT(tide_stats_json(buffer, sizeof buffer) > sizeof buffer);
  EXPECT(tide_stats_text(buffer, sizeof buffer) > sizeof buffer);
  EXPECT(tide_stats_write(TIDE_STATS_JSON, count_text, &length) == 0);
  EXPECT(length > sizeof buffer);
  EXPECT(tide_option_get("stats", buffer, sizeof buffer) == 0);
  EXPECT(tide_option_set("stats", buffer) == 0);
  tide_option_list(count_option, &options);
  EXPECT(options > 0);
  EXPECT(strlen(tide_version()) >= 5);
}

int main(void) {
  call_family();
  call_heaps();
  call_figures();
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
