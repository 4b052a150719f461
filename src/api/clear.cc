#include "api/clear.h"

#include "base/align.h"
#include "sys/zero_pieces.h"

namespace tide::api {

namespace {

// What lies together in a page of most systems: where something of it was written, it is there.
constexpr size_t kPageBytes = 4096;

bool begins_with_zero(const char* p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return word == 0;
}

}  // namespace

void clear_written(void* p, size_t bytes) {
  auto* at = static_cast<char*>(p);
  char* const end = at + bytes;
  for (;;) {
    const size_t left = static_cast<size_t>(end - at);
    const size_t zero = sys::zero_pieces(at, left - left % sys::kZeroPieceBytes);
    at += zero;
    if (left - zero < sys::kZeroPieceBytes) break;
    // The rest of its page, and pages that begin with something, as they do where all was written.
    char* written = at;
    do {
      written += kPageBytes - base::address_of(written) % kPageBytes;
    } while (written < end && !begins_with_zero(written));
    if (written >= end) break;
    memset(at, 0, static_cast<size_t>(written - at));
    at = written;
  }
  memset(at, 0, static_cast<size_t>(end - at));
}

}  // namespace tide::api
