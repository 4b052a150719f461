/*
 * tide.h - the C interface of Tide, beyond what malloc and its family offer.
 *
 * A program needs none of this to run on Tide: preloading or linking the library is enough. What is
 * here is for programs that want more: heaps of their own, figures, every block, options.
 *
 * Rules that hold for all functions unless their comment says otherwise:
 *  - sizes and limits are in bytes;
 *  - any thread may call, at any time, but not from a signal handler;
 *  - a block from any of them may be given to free() or tide_free() of any thread, and
 *    free(), realloc() and malloc_usable_size() of the process work on it;
 *  - a pointer that is not the start of a live block ends the process with one line on standard
 *    error, and so does freeing a block twice;
 *  - functions that return an int named "error" give 0, or a number from <errno.h> and leave errno
 *    alone; functions that return a block give NULL and set errno.
 *
 * C99 and later, and C++. Link with -ltide, or preload libtide.so: the functions are in the
 * library.
 */
#ifndef TIDE_TIDE_H
#define TIDE_TIDE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TIDE_VERSION_MAJOR 0
#define TIDE_VERSION_MINOR 1
#define TIDE_VERSION_PATCH 0

#if defined(__GNUC__)
#define TIDE_ATTRIBUTE(x) __attribute__(x)
#else
#define TIDE_ATTRIBUTE(x)
#endif

#if defined(__cplusplus)
#define TIDE_NOTHROW noexcept
extern "C" {
#else
#define TIDE_NOTHROW
#endif

/* The library's version, "0.1.0": of the one that is running, which may differ from the macros. */
const char* tide_version(void) TIDE_NOTHROW;

/* ------------------------------------------------------------------------------------------------
 * malloc and its family under names of their own. In a process that runs on Tide they are the same
 * functions as those without the prefix; in one that only links Tide's functions by these names
 * they are the way to its blocks.
 * --------------------------------------------------------------------------------------------- */

/* At least `size` bytes, aligned to 16; 0 counts as 1. NULL with ENOMEM: no memory, or `size` is
   above PTRDIFF_MAX. */
void* tide_malloc(size_t size) TIDE_NOTHROW TIDE_ATTRIBUTE((malloc, alloc_size(1)));

/* `count` * `size` bytes that read as zero. NULL with ENOMEM, also when the product overflows. */
void* tide_calloc(size_t count, size_t size) TIDE_NOTHROW
    TIDE_ATTRIBUTE((malloc, alloc_size(1, 2)));

/* Makes the block at `block` hold `size` bytes; it may move, its contents up to the smaller size do
   not change. NULL `block`: like tide_malloc. `size` 0: frees and returns NULL. NULL with ENOMEM
   otherwise: the block is as it was. A block of a heap stays in its heap. */
void* tide_realloc(void* block, size_t size) TIDE_NOTHROW TIDE_ATTRIBUTE((alloc_size(2)));

/* tide_realloc to `count` * `size` bytes; ENOMEM when the product overflows. */
void* tide_reallocarray(void* block, size_t count, size_t size) TIDE_NOTHROW
    TIDE_ATTRIBUTE((alloc_size(2, 3)));

/* Frees; NULL is fine. Keeps errno. */
void tide_free(void* block) TIDE_NOTHROW;

/* Frees a block whose size (and alignment) at its allocation the caller knows. */
void tide_free_sized(void* block, size_t size) TIDE_NOTHROW;
void tide_free_aligned_sized(void* block, size_t alignment, size_t size) TIDE_NOTHROW;

/* `size` bytes at a multiple of `alignment`. NULL with EINVAL unless `alignment` is a power of two;
   with ENOMEM. `size` need not be a multiple of it. */
void* tide_aligned_alloc(size_t alignment, size_t size) TIDE_NOTHROW
    TIDE_ATTRIBUTE((malloc, alloc_size(2)));

/* Stores such a block in `*result`. Error: EINVAL unless `alignment` is a power of two and a
   multiple of sizeof(void*); ENOMEM, which is then in errno too. `*result` is as it was. */
int tide_posix_memalign(void** result, size_t alignment, size_t size) TIDE_NOTHROW;

/* Like tide_aligned_alloc, but an `alignment` that is no power of two counts as the next one. NULL
   with EINVAL when there is none. */
void* tide_memalign(size_t alignment, size_t size) TIDE_NOTHROW
    TIDE_ATTRIBUTE((malloc, alloc_size(2)));

/* Aligned to an OS page; tide_pvalloc also rounds the size up to whole pages, at least one. */
void* tide_valloc(size_t size) TIDE_NOTHROW TIDE_ATTRIBUTE((malloc, alloc_size(1)));
void* tide_pvalloc(size_t size) TIDE_NOTHROW TIDE_ATTRIBUTE((malloc));

/* Bytes of the block that may be used, at least those asked for; 0 for NULL. */
size_t tide_malloc_usable_size(const void* block) TIDE_NOTHROW;

/* The usable size that tide_malloc(size) would give; 0 when no block can be that large. */
size_t tide_good_size(size_t size) TIDE_NOTHROW;

/* Gives free memory back to the system, that of all threads: what is free in the caches of the
   calling thread, of running and of sleeping threads and of those that have ended, and all that is
   shared. Of a thread that is inside of malloc or free at that moment the cache may stay as it is.
   `pad` has no meaning here. Returns 1 when memory went back, else 0. malloc_trim is the same. */
int tide_malloc_trim(size_t pad) TIDE_NOTHROW;

/* Gives free memory back until the footprint (see tide_set_limits) is at most `target` bytes, or no
   more is free: first what is free as a whole, then what all threads, running ones too, have in
   their caches, and pages between used ones. Returns the bytes given back. */
size_t tide_purge(size_t target) TIDE_NOTHROW;

/* mallopt of the C library: 1 for the parameters and values that it takes, else 0; nothing changes.
 */
int tide_mallopt(int parameter, int value) TIDE_NOTHROW;

/* The fields of the C library's struct mallinfo2, of this heap. */
struct tide_mallinfo {
  size_t arena;   /* mapped for blocks, without those of hblkhd and without the library's records */
  size_t ordblks; /* free blocks */
  size_t smblks;  /* free blocks at hand for threads */
  size_t hblks;   /* live blocks with a mapping of their own */
  size_t hblkhd;  /* bytes of those */
  size_t usmblks; /* 0 */
  size_t fsmblks; /* bytes in the blocks of smblks */
  size_t uordblks; /* usable bytes of live blocks in `arena` */
  size_t fordblks; /* arena - uordblks */
  size_t keepcost; /* free bytes that tide_malloc_trim may give back */
};
struct tide_mallinfo tide_mallinfo2(void) TIDE_NOTHROW;

/* Writes an XML document to `stream` in the form of the C library's malloc_info. 0; EINVAL unless
   `flags` is 0; -1 when the stream fails. */
int tide_malloc_info(int flags, FILE* stream) TIDE_NOTHROW;

/* Writes figures for people to standard error. */
void tide_malloc_stats(void) TIDE_NOTHROW;

/* ------------------------------------------------------------------------------------------------
 * First-class heaps: blocks that belong together, may be limited in bytes, and can be freed at
 * once.
 * --------------------------------------------------------------------------------------------- */

/* A heap. The program owns it from tide_heap_create to tide_heap_destroy. */
typedef struct tide_heap tide_heap_t;

/* A new heap whose blocks may have `limit` bytes together; 0: no limit. NULL with ENOMEM. */
tide_heap_t* tide_heap_create(size_t limit) TIDE_NOTHROW;

/* Ends the heap and all its blocks at once: no pointer to one of them may be used or freed any
   more, and no other thread may be using the heap. NULL is fine. */
void tide_heap_destroy(tide_heap_t* heap) TIDE_NOTHROW;

/* As the functions of the same name above, in `heap`. NULL with ENOMEM also when the limit does not
   allow the block. */
void* tide_heap_malloc(tide_heap_t* heap, size_t size) TIDE_NOTHROW
    TIDE_ATTRIBUTE((malloc, alloc_size(2)));
void* tide_heap_calloc(tide_heap_t* heap, size_t count, size_t size) TIDE_NOTHROW
    TIDE_ATTRIBUTE((malloc, alloc_size(2, 3)));
void* tide_heap_aligned_alloc(tide_heap_t* heap, size_t alignment, size_t size) TIDE_NOTHROW
    TIDE_ATTRIBUTE((malloc, alloc_size(3)));

/* tide_realloc for a block of `heap`, or NULL. NULL with EINVAL when the block is of another heap;
   it is then as it was. While the block moves the old and the new one both count for the limit. */
void* tide_heap_realloc(tide_heap_t* heap, void* block, size_t size) TIDE_NOTHROW
    TIDE_ATTRIBUTE((alloc_size(3)));

/* The heap of a live block; NULL: the process's own. */
tide_heap_t* tide_heap_of(const void* block) TIDE_NOTHROW;

/* What a heap holds now. */
struct tide_heap_stats {
  size_t live_bytes; /* usable bytes of its live blocks: what counts for the limit */
  size_t live_blocks;
  size_t limit_bytes;      /* 0: none */
  size_t kept_bytes;       /* freed, and perhaps still resident for its next blocks */
  size_t soft_limit_bytes; /* 0: none */
};
struct tide_heap_stats tide_heap_get_stats(tide_heap_t* heap) TIDE_NOTHROW;

/* The limit may be set below what is live: then no block is given until enough is freed. 0: none.
 */
size_t tide_heap_get_limit(tide_heap_t* heap) TIDE_NOTHROW;
void tide_heap_set_limit(tide_heap_t* heap, size_t limit) TIDE_NOTHROW;

/* What a heap may hold live and kept together before its free pages go back to the system, as
   blocks are freed. 0: none, the heap keeps what it has for its next blocks. Any thread may set it
   at any time; what is too much goes at once. */
size_t tide_heap_get_soft_limit(tide_heap_t* heap) TIDE_NOTHROW;
void tide_heap_set_soft_limit(tide_heap_t* heap, size_t limit) TIDE_NOTHROW;

/* ------------------------------------------------------------------------------------------------
 * Limits of the process. What counts is the footprint: the bytes that may be resident because of
 * the library. Live blocks count whole, whether they were written to or not, and so do free
 * blocks that have not gone back to the system, and the library's own records.
 * --------------------------------------------------------------------------------------------- */

/* As the process's control group says, also when that changes later: soft = memory.high, or nine
   tenths of memory.max if that is less; hard = memory.max less a sixteenth, at most 256 MiB. */
#define TIDE_LIMIT_AUTO SIZE_MAX

/* Sets both limits, in bytes; 0: none. Above the soft one memory goes back sooner and caches keep
   less. Above the hard one nothing is allocated: first all that is free goes back, then functions
   fail with ENOMEM, and work again as soon as enough is freed. A limit may be below the footprint:
   then what is free goes back at once. The same as the options limit_soft and limit_hard. Error:
   EINVAL, above 1024 TiB, or the soft limit is above the hard one. */
int tide_set_limits(size_t soft, size_t hard) TIDE_NOTHROW;

/* The limits in force in bytes, 0: none; of TIDE_LIMIT_AUTO what it stands for now. Either pointer
   may be NULL. */
void tide_get_limits(size_t* soft, size_t* hard) TIDE_NOTHROW;

/* ------------------------------------------------------------------------------------------------
 * Every block, and figures.
 * --------------------------------------------------------------------------------------------- */

/* A live block. */
struct tide_block {
  void* address;
  size_t usable_bytes;
  size_t class_bytes; /* block size of its size class; 0: it has pages or a mapping of its own */
  tide_heap_t* heap;  /* NULL: the process's own */
};

/* Non-zero goes on, 0 stops. Must not allocate, free, or ask anything of the allocator. */
typedef int (*tide_block_visitor)(const struct tide_block* block, void* argument);

/* Calls `visit` for every live block of the process, in no particular order: those of all threads,
   of all heaps and of threads that have ended. Any thread may call it; blocks that others allocate
   or free meanwhile may be in it or not. Returns 1, or 0 when the visitor stopped. */
int tide_heap_walk(tide_block_visitor visit, void* argument);

/* The former name of tide_heap_walk; do not use it any more. */
int tide_visit_blocks(tide_block_visitor visit, void* argument);

enum tide_block_state {
  TIDE_NOT_OURS = 0,  /* not in the library's memory for blocks */
  TIDE_LIVE = 1,      /* in a block that the program holds */
  TIDE_CACHED = 2,    /* in a freed block that is at hand for a thread or for all */
  TIDE_HELD_BACK = 3, /* in a freed block that is not used again for a while (hardened mode) */
  TIDE_FREE = 4       /* in memory that is free, or was never used */
};

/* What is at an address. */
struct tide_description {
  uint32_t state;      /* of enum tide_block_state */
  uint32_t reserved;   /* 0 */
  void* block;         /* where the block begins; NULL: no block is there */
  size_t usable_bytes; /* of a live block, in hardened mode of a large one at most; of another its
                          whole bytes */
  size_t class_bytes;  /* as in tide_block */
  tide_heap_t* heap;   /* NULL: the process's own */
};

/* Says what is at `address`, which may be any value: the start or the middle of a block, a pointer
   to something else, or no address at all. Reads nothing that it points to, so it never faults, and
   changes nothing. Any thread may ask, but no signal handler: it may wait for a lock. Of a block
   that another thread allocates or frees meanwhile it may say what was or what will be. Returns 1,
   or 0 when the address is not ours. */
int tide_describe(const void* address, struct tide_description* description) TIDE_NOTHROW;

#define TIDE_STATS_VERSION 1

/* The process's heap at a moment. New fields go to the end. */
struct tide_stats {
  uint32_t version; /* TIDE_STATS_VERSION of the library */
  uint32_t size;    /* bytes that the library filled in */
  uint64_t mapped_bytes;
  uint64_t live_bytes; /* usable bytes of all live blocks, those of heaps included */
  uint64_t live_blocks;
  uint64_t cached_bytes;     /* free, at hand for threads */
  uint64_t free_dirty_bytes; /* free, may be resident */
  uint64_t returned_bytes;   /* free, given back to the system or never touched */
  uint64_t metadata_bytes;
  uint64_t large_live_bytes; /* blocks above 64 KiB that share a zone */
  uint64_t large_live_blocks;
  uint64_t huge_live_bytes; /* blocks with a mapping of their own */
  uint64_t huge_live_blocks;
  uint64_t huge_cached_bytes; /* freed such mappings, kept for reuse; part of free_dirty_bytes */
  uint64_t thread_caches;
  uint64_t heaps;
  uint64_t purge_calls; /* calls that gave memory back since the start, and their bytes */
  uint64_t purged_bytes;
  /* Of these, bytes that were taken again: divided by the size of an OS page they are about the
     page faults that giving back has caused. */
  uint64_t retaken_bytes;
  uint64_t purge_max_ns;     /* the longest single one of these calls */
  uint64_t purge_total_ns;   /* all of them together */
  uint64_t background_turns; /* of who gives memory back unasked */
  uint64_t limit_bytes;      /* the hard limit, or if there is none the soft one; 0: none */
  uint64_t footprint_bytes;  /* what tide_set_limits limits */
  uint64_t limit_soft_bytes; /* in force; 0: none */
  uint64_t limit_hard_bytes;
};

/* Fills in at most `size` bytes of `*stats`; give sizeof *stats. Error: EINVAL when `size` is below
   the first two fields. */
int tide_stats_get(struct tide_stats* stats, size_t size) TIDE_NOTHROW;

/* A size class. */
struct tide_class_stats {
  uint64_t block_bytes;
  uint64_t slabs;
  uint64_t live_blocks;
  uint64_t cached_blocks;
  uint64_t free_blocks;
};

/* Fills in up to `count` size classes, smallest first, and returns how many there are. */
size_t tide_class_stats_get(struct tide_class_stats* classes, size_t count) TIDE_NOTHROW;

enum tide_thread_state { TIDE_THREAD_OWNED = 1, TIDE_THREAD_PARKED = 2 };

/* A thread's cache. One whose thread has ended is parked until another thread takes it over. */
struct tide_thread_stats {
  uint64_t thread_id; /* gettid() of the thread that has it, or had it last */
  uint32_t state;     /* of enum tide_thread_state */
  uint32_t reserved;  /* 0 */
  uint64_t cached_bytes;
  uint64_t cached_blocks;
};

/* Fills in up to `count` thread caches, the newest first, and returns how many there are. */
size_t tide_thread_stats_get(struct tide_thread_stats* threads, size_t count) TIDE_NOTHROW;

/* All of this as one line of JSON, as text for people, or in Prometheus' text format. Like
   snprintf: at most `size` bytes are written, the closing zero included, and the length that the
   whole has is returned. */
size_t tide_stats_json(char* buffer, size_t size) TIDE_NOTHROW;
size_t tide_stats_text(char* buffer, size_t size) TIDE_NOTHROW;
size_t tide_stats_prometheus(char* buffer, size_t size) TIDE_NOTHROW;

enum tide_stats_format { TIDE_STATS_TEXT = 1, TIDE_STATS_JSON = 2, TIDE_STATS_PROMETHEUS = 3 };

/* Receives the next `length` bytes, without a closing zero. */
typedef void (*tide_writer)(const char* text, size_t length, void* argument);

/* Any of them in pieces, whatever their length. Error: EINVAL for another format. */
int tide_stats_write(enum tide_stats_format format, tide_writer write, void* argument);

/* ------------------------------------------------------------------------------------------------
 * Options. docs/options.md has the list; the environment sets them as TIDE_<NAME>, or several at
 * once as TIDE_OPTIONS="a=1,b=2".
 * --------------------------------------------------------------------------------------------- */

/* The option's value as text, in the form that tide_option_set reads, into `buffer` of `size`
   bytes. Error: ENOENT, no such option; ERANGE, the buffer is too small. */
int tide_option_get(const char* name, char* buffer, size_t size) TIDE_NOTHROW;

/* Sets it. Error: ENOENT, no such option; EINVAL, not a value or out of range; EPERM, fixed since
   the first allocation. */
int tide_option_set(const char* name, const char* value) TIDE_NOTHROW;

/* An option as it is now. The strings live as long as the call that hands them out. */
struct tide_option {
  const char* name;
  const char* type; /* "boolean", "integer", "bytes", "duration", "choice" or "text" */
  const char* value;
  const char* default_value;
  const char* minimum; /* "" when the type has no range */
  const char* maximum;
  const char* unit;   /* of a choice: the words, with | between them */
  const char* source; /* "default", "TIDE_OPTIONS", the variable's name, or "program" */
  const char* help;
  int fixed; /* non-zero: tide_option_set gives EPERM */
};

/* Non-zero goes on, 0 stops. */
typedef int (*tide_option_visitor)(const struct tide_option* option, void* argument);

/* Calls `visit` for every option, in the order of the documentation. */
void tide_option_list(tide_option_visitor visit, void* argument);

/* ------------------------------------------------------------------------------------------------
 * Profiles: where live memory was allocated, from a sample of the allocations. Off unless the
 * option profile says otherwise; while it is off it costs nothing. `tide profile` shows them, of a
 * running process without any of these calls.
 * --------------------------------------------------------------------------------------------- */

/* Samples allocations from now on, about one in `rate` bytes; 0: as the option profile_rate says.
   Threads follow at their next malloc. With the option profile_calls every call counts. Error:
   EINVAL, `rate` is out of range; ENOTSUP, not in hardened mode. */
int tide_profile_start(size_t rate) TIDE_NOTHROW;

/* Takes no more samples. Those that there are stay, and their frees are still noticed. */
void tide_profile_stop(void) TIDE_NOTHROW;

/* Forgets all samples. */
void tide_profile_reset(void) TIDE_NOTHROW;

/* The rate of the samples that are being taken; 0: none are. */
size_t tide_profile_rate(void) TIDE_NOTHROW;

/* Writes the profile to the file `descriptor`, for `tide profile FILE`. Error: EIO. */
int tide_profile_write(int descriptor) TIDE_NOTHROW;

#if defined(__cplusplus)
} /* extern "C" */
#endif

#endif /* TIDE_TIDE_H */
