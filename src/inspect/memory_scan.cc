#include "inspect/memory_scan.h"

#include <algorithm>
#include <vector>

#include "inspect/parallel.h"
#include "walk/heap.h"

namespace tide::inspect {
namespace {

constexpr uint64_t kPiece = 1 << 20;
constexpr uint64_t kPageBytes = 4096;

bool is_scanned(const walk::Segment& segment) { return segment.is_readable && segment.is_writable; }

}  // namespace

uint64_t bytes_to_scan(const walk::Target& target) {
  uint64_t bytes = 0;
  for (const walk::Segment& segment : target.segments()) {
    if (is_scanned(segment)) bytes += std::min(segment.size(), segment.present);
  }
  return bytes;
}

void scan_memory(const walk::Target& target, size_t more_words,
                 const std::function<void(uint64_t, const Words&)>& look) {
  std::vector<walk::Range> pieces;
  for (const walk::Segment& segment : target.segments()) {
    if (!is_scanned(segment)) continue;
    const uint64_t end = segment.start + std::min(segment.size(), segment.present);
    for (uint64_t at = segment.start; at < end; at += std::min(kPiece, end - at)) {
      pieces.push_back({at, at + std::min(kPiece, end - at)});
    }
  }
  // A pattern may go on behind the piece.
  const uint64_t more = more_words * sizeof(uint64_t);
  share_out(static_cast<uint32_t>(pieces.size()), [&](Pieces& left) {
    walk::Buffer buffer;
    for (uint32_t p; left.next(p);) {
      for (uint64_t at = pieces[p].start; at < pieces[p].end;) {
        at = target.next_touched(at, pieces[p].end);
        if (at == pieces[p].end) break;
        const std::span<const std::byte> bytes = target.view(at, pieces[p].end - at + more, buffer);
        if (bytes.size() < sizeof(uint64_t)) {
          at = (at | (kPageBytes - 1)) + 1;
          continue;
        }
        look(at, Words(bytes.data(), bytes.size() / sizeof(uint64_t)));
        // What a short view ends in is looked at again with what is behind it.
        const uint64_t seen = bytes.size() & ~uint64_t{sizeof(uint64_t) - 1};
        at += seen > 2 * more ? seen - more : seen;
      }
    }
  });
}

}  // namespace tide::inspect
