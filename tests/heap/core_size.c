// Fills the heap, frees most of it in random order, says what is left, and waits for the signal
// that ends it with a core.
//
//   core_size TABLE MIB MODE
//
// MODE: `peak` frees all but the first quarter, `groups` blocks that were allocated together, as a
// request's, `scattered` any. The table is a file that is mapped and so in no core: counts, then
// address, bytes and checksum of each live block.
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tide/tide.h"

enum { kMostBlocks = 1 << 20, kGroups = 40 };

struct Row {
  uint64_t address;
  uint64_t bytes;
  uint64_t checksum;
};

struct Table {
  uint64_t live;
  uint64_t live_bytes;
  uint64_t metadata_bytes;
  uint64_t reserved;
  struct Row row[kMostBlocks];
};

extern int tide_stats_get(struct tide_stats* stats, size_t size) __attribute__((weak));

static struct Table* table;
static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

// FNV-1a over words; blocks have whole ones.
static uint64_t checksum(const uint64_t* words, size_t bytes) {
  uint64_t sum = 14695981039346656037u;
  for (size_t i = 0; i < bytes / 8; ++i) sum = (sum ^ words[i]) * 1099511628211u;
  return sum;
}

// Mostly small, most bytes in larger ones, some of megabytes.
static size_t random_size(void) {
  const uint64_t kind = next_random() % 1000;
  if (kind == 0) return (size_t)1 << 20 | next_random() % (1 << 20);
  if (kind < 20) return 65536 + next_random() % 200000;
  return (size_t)16 << next_random() % 11 | next_random() % 16;
}

static void fill(size_t bytes) {
  uint64_t held = 0;
  while (held < bytes && table->live < kMostBlocks) {
    struct Row* const row = &table->row[table->live++];
    uint64_t* const block = malloc(random_size());
    if (block == NULL) _exit(3);
    row->address = (uint64_t)(uintptr_t)block;
    row->bytes = malloc_usable_size(block) / 8 * 8;
    for (size_t i = 0; i < row->bytes / 8; ++i) block[i] = next_random();
    held += row->bytes;
  }
}

// Whether block `i` stays; `rank` is a random order of the groups.
static int stays(const char* mode, uint64_t i, uint64_t all, const uint64_t* rank) {
  if (mode[0] == 'p') return i < all / 4;
  return mode[0] == 'g' ? rank[i * kGroups / all] < kGroups / 10 : next_random() % 10 == 0;
}

static void thin_out(const char* mode) {
  const uint64_t all = table->live;
  uint64_t order[kGroups];
  for (uint64_t i = 0; i < kGroups; ++i) order[i] = i;
  for (uint64_t i = kGroups - 1; i != 0; --i) {
    const uint64_t j = next_random() % (i + 1), other = order[j];
    order[j] = order[i];
    order[i] = other;
  }
  uint64_t rank[kGroups];
  for (uint64_t i = 0; i < kGroups; ++i) rank[order[i]] = i;
  // What stays comes first, the rest in random order behind it.
  uint64_t live = 0;
  for (uint64_t i = 0; i < all; ++i) {
    if (!stays(mode, i, all, rank)) continue;
    const struct Row other = table->row[live];
    table->row[live++] = table->row[i];
    table->row[i] = other;
  }
  for (uint64_t i = all; i-- > live;) {
    const uint64_t j = live + next_random() % (i - live + 1);
    const struct Row other = table->row[j];
    table->row[j] = table->row[i];
    free((void*)(uintptr_t)other.address);
  }
  table->live = live;
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int file = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || ftruncate(file, sizeof(struct Table)) != 0) return 2;
  table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (table == MAP_FAILED) return 2;
  close(file);
  fill((size_t)strtoull(argv[2], NULL, 10) << 20);
  thin_out(argv[3]);
  for (uint64_t i = 0; i < table->live; ++i) {
    struct Row* const row = &table->row[i];
    row->checksum = checksum((const uint64_t*)(uintptr_t)row->address, row->bytes);
    table->live_bytes += malloc_usable_size((void*)(uintptr_t)row->address);
  }
  if (tide_stats_get != NULL) {
    struct tide_stats stats = {0};
    tide_stats_get(&stats, sizeof stats);
    table->metadata_bytes = stats.metadata_bytes;
  }
  if (write(1, "ready\n", 6) != 6) return 2;
  for (;;) pause();
}
