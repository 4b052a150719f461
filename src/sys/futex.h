// Sleeping and waking on a 32-bit word (futex(2)). Keeps errno.
#pragma once

#include <atomic>
#include <cstdint>

namespace tide::sys {

// Returns at once when *word != expected; may return without a wake.
void futex_wait(std::atomic<uint32_t>* word, uint32_t expected);
void futex_wake_one(std::atomic<uint32_t>* word);
void futex_wake_all(std::atomic<uint32_t>* word);

// The same for words in memory that processes share. The wait ends after `timeout_ns` at the
// latest.
void futex_wait_shared(std::atomic<uint32_t>* word, uint32_t expected, uint64_t timeout_ns);
void futex_wake_shared(std::atomic<uint32_t>* word);

// Tells the CPU that this is a spin loop.
void spin_pause();

}  // namespace tide::sys
