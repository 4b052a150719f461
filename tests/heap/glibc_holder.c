/* Holds blocks of glibc's malloc and knows them: every call of the process, the C library's own
   included, comes through here and is noted in a table that is a file, so that it is there after
   the end.

     glibc_holder TABLE SEED THREADS CALLS (sleep | abort | abort-busy | exit)

   sleep: all threads wait, "ready" is written, until a signal ends it. abort: the same, then an
   abort. abort-busy: an abort while all other threads are at work, so each of them may be within a
   call. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

enum { kSlots = 1 << 19, kMine = 600 };

struct Slot {
  uint64_t address; /* 0: empty, 1: was in use */
  uint64_t bytes;
};

/* What comes before main has a table too. */
static struct Slot early[4096];
static struct Slot* table = early;
static size_t slots = 4096;
static atomic_flag lock = ATOMIC_FLAG_INIT;

static size_t home(uint64_t address) { return address / 16 * 0x9e3779b97f4a7c15u >> 20; }

static void note_in(struct Slot* in, size_t count, uint64_t address, uint64_t bytes) {
  for (size_t i = home(address);; ++i) {
    struct Slot* const slot = &in[i % count];
    if (slot->address > 1) continue;
    slot->bytes = bytes;
    slot->address = address;
    return;
  }
}

static void* note(void* block) {
  if (block == NULL) return NULL;
  while (atomic_flag_test_and_set(&lock)) {
  }
  note_in(table, slots, (uint64_t)block, malloc_usable_size(block));
  atomic_flag_clear(&lock);
  return block;
}

static void forget(void* block) {
  if (block == NULL) return;
  while (atomic_flag_test_and_set(&lock)) {
  }
  for (size_t i = home((uint64_t)block), n = 0; n < slots; ++i, ++n) {
    struct Slot* const slot = &table[i % slots];
    if (slot->address == 0) break;
    if (slot->address != (uint64_t)block) continue;
    slot->address = 1;
    break;
  }
  atomic_flag_clear(&lock);
}

void* malloc(size_t bytes) { return note(__libc_malloc(bytes)); }
void* calloc(size_t count, size_t bytes) { return note(__libc_calloc(count, bytes)); }
void* memalign(size_t alignment, size_t bytes) { return note(__libc_memalign(alignment, bytes)); }
void* aligned_alloc(size_t alignment, size_t bytes) {
  return note(__libc_memalign(alignment, bytes));
}
int posix_memalign(void** block, size_t alignment, size_t bytes) {
  *block = note(__libc_memalign(alignment, bytes));
  return *block == NULL ? ENOMEM : 0;
}
void free(void* block) {
  forget(block);
  __libc_free(block);
}
void* realloc(void* block, size_t bytes) {
  forget(block);
  return note(__libc_realloc(block, bytes));
}

struct Worker {
  pthread_t thread;
  uint64_t seed;
};
static struct Worker workers[64];
static void* _Atomic mine[64][kMine];
static unsigned threads;
static unsigned long calls;
static atomic_uint done;
static int is_busy;

static uint64_t draw(uint64_t* seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

static size_t draw_size(uint64_t* seed) {
  const uint64_t kind = draw(seed) % 100;
  if (kind < 55) return draw(seed) % 200;
  if (kind < 80) return draw(seed) % 2000;
  if (kind < 85) return 640; /* as a thread cache itself */
  if (kind < 95) return draw(seed) % 40000;
  if (kind < 99) return draw(seed) % 300000;
  return draw(seed) % 3000000;
}

static void* draw_block(uint64_t* seed) {
  const size_t bytes = draw_size(seed);
  switch (draw(seed) % 8) {
    case 0:
      return calloc(1, bytes);
    case 1: {
      /* Some of them large: mappings that are made shorter, too. */
      const unsigned steps = draw(seed) % 8 == 0 ? 18 : 12;
      void* block = NULL;
      if (posix_memalign(&block, (size_t)16 << draw(seed) % steps, bytes) != 0) return NULL;
      return block;
    }
    case 2:
      return realloc(malloc(bytes / 2), bytes + 1);
    default: {
      /* Contents that look like chunks. */
      uint64_t* const block = malloc(bytes);
      for (size_t i = 0; i < bytes / 8 && i < 4096; ++i) block[i] = draw(seed) % 4 * 16 + 0x21;
      return block;
    }
  }
}

static void work(unsigned number, uint64_t* seed, unsigned long count) {
  for (unsigned long i = 0; i < count; ++i) {
    /* One in eight is another thread's block. */
    const unsigned owner = draw(seed) % 8 == 0 ? draw(seed) % threads : number;
    void* const before = atomic_exchange(&mine[owner][draw(seed) % kMine], NULL);
    if (draw(seed) % 3 == 0) {
      void* const moved = realloc(before, draw_size(seed) + 1);
      free(atomic_exchange(&mine[number][0], moved));
      continue;
    }
    free(before);
    free(atomic_exchange(&mine[number][draw(seed) % kMine], draw_block(seed)));
  }
}

static void* run(void* argument) {
  struct Worker* const self = argument;
  const unsigned number = (unsigned)(self - workers);
  work(number, &self->seed, calls);
  atomic_fetch_add(&done, 1);
  while (is_busy) work(number, &self->seed, 1000);
  while (pause() != 0) {
  }
  return NULL;
}

static void* end_at_once(void* argument) {
  free(malloc((size_t)argument));
  return NULL;
}

int main(int count, char** words) {
  if (count != 6) return 2;
  const int file = open(words[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (ftruncate(file, kSlots * sizeof(struct Slot)) != 0) return 1;
  struct Slot* const all =
      mmap(NULL, kSlots * sizeof(struct Slot), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (all == MAP_FAILED) return 1;
  for (size_t i = 0; i < slots; ++i) {
    if (early[i].address > 1) note_in(all, kSlots, early[i].address, early[i].bytes);
  }
  table = all;
  slots = kSlots;

  uint64_t seed = strtoull(words[2], NULL, 10) * 2 + 1;
  threads = (unsigned)strtoul(words[3], NULL, 10);
  calls = strtoul(words[4], NULL, 10);
  is_busy = strcmp(words[5], "abort-busy") == 0;
  if (threads > 64) return 2;
  for (unsigned i = 0; i < threads; ++i) {
    workers[i].seed = seed * 0x9e3779b97f4a7c15u + i + 1;
    if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0) return 1;
    pthread_t short_lived;
    if (pthread_create(&short_lived, NULL, end_at_once, (void*)(seed % 1000)) != 0) return 1;
    pthread_join(short_lived, NULL);
  }
  while (atomic_load(&done) < threads) usleep(1000);
  if (!is_busy) usleep(20000); /* until they wait */
  if (strcmp(words[5], "exit") == 0) _exit(0);
  if (strncmp(words[5], "abort", 5) == 0) abort();
  if (write(1, "ready\n", 6) != 6) return 1;
  for (;;) pause();
}
