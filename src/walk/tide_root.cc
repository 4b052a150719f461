#include "walk/tide_root.h"

#include <algorithm>
#include <cstring>

#include "base/align.h"
#include "walk/root_check.h"
#include "walk/root_notes.h"

namespace tide::walk {
namespace {

using base::address_of;

void scan_segment(const Target& target, const Segment& segment, std::vector<uint64_t>& found) {
  constexpr size_t kStep = size_t{1} << 20;
  Buffer buffer;
  for (uint64_t at = segment.start; at < segment.end;) {
    const std::span<const std::byte> bytes = target.view(at, kStep, buffer);
    if (bytes.size() < sizeof(uint64_t)) break;
    const size_t words = bytes.size() / sizeof(uint64_t);
    for (size_t i = 0; i < words; ++i) {
      uint64_t word;
      std::memcpy(&word, bytes.data() + i * sizeof word, sizeof word);
      if (word == layout::kHeapRootMagic && is_root(target, at + i * sizeof word)) {
        found.push_back(at + i * sizeof word);
      }
    }
    at += words * sizeof(uint64_t);
  }
}

}  // namespace

TideRoot read_tide_root(const MemorySource& memory, uint64_t address) {
  struct Head {
    uint64_t magic;
    uint32_t version;
    uint32_t bytes;
  };
  const Head head = load_from<Head>(memory, address);
  require_known_version(head.magic, head.version, head.bytes);
  TideRoot result;
  result.root = load_from<layout::HeapRoot>(memory, address);
  require_sane_root(result.root);
  result.engine = address_of(result.root.engine);
  result.classes.resize(result.root.class_count);
  result.stacks.resize(result.root.stack_count);
  char version[16] = {};
  ReadBatch batch;
  batch.add_bytes(address_of(result.root.classes), result.classes.data(),
                  result.classes.size() * sizeof result.classes[0]);
  batch.add_bytes(address_of(result.root.stacks), result.stacks.data(),
                  result.stacks.size() * sizeof result.stacks[0]);
  batch.run(memory);
  // It may end at the end of a mapping.
  for (size_t i = 0; i + 1 < sizeof version; ++i) {
    version[i] = load_from<char>(memory, address_of(result.root.library_version) + i);
    if (version[i] == 0) break;
  }
  result.version.assign(version, strnlen(version, sizeof version));
  require_sane_tables(result.classes, result.stacks);
  return result;
}

layout::HeapHeader read_tide_header(const MemorySource& memory, uint64_t address) {
  const auto header = load_from<layout::HeapHeader>(memory, address);
  require_known_version(header.root.magic, header.root.version, header.root.bytes);
  require_sane_root(header.root);
  require_at_most(header.class_count, layout::kMostHeaderClasses);
  return header;
}

TideRoot root_of_header(const layout::HeapHeader& header) {
  TideRoot result;
  result.root = header.root;
  result.classes.resize(header.class_count);
  for (uint32_t c = 0; c < header.class_count; ++c) {
    result.classes[c].block_bytes = header.block_bytes[c];
  }
  result.version.assign(header.library_version,
                        strnlen(header.library_version, sizeof header.library_version));
  return result;
}

// It is what its mapping begins with.
std::vector<uint64_t> scan_for_headers(const Target& target) {
  std::vector<uint64_t> found;
  for (const Segment& segment : target.segments()) {
    if (!segment.is_writable || segment.is_file()) continue;
    if (target.load<uint64_t>(segment.start) != layout::kHeapHeaderMagic) continue;
    const auto self = target.load<uint64_t>(segment.start + offsetof(layout::HeapHeader, self));
    if (self == segment.start) found.push_back(segment.start);
  }
  return found;
}

std::vector<uint64_t> find_roots(const Target& target) {
  const std::vector<NotedRoot> noted = find_noted_roots(target);
  std::vector<uint64_t> found;
  for (const NotedRoot& root : noted) found.push_back(root.address);
  const auto has_note = [&](const Segment& segment) {
    return std::any_of(noted.begin(), noted.end(),
                       [&](const NotedRoot& root) { return root.file == segment.file; });
  };
  bool has_files = false;
  for (const Segment& segment : target.segments()) {
    if (!segment.is_file()) continue;
    has_files = true;
    if (segment.is_writable && !has_note(segment)) scan_segment(target, segment, found);
  }
  if (!found.empty() || has_files) return found;
  for (const Segment& segment : target.segments()) {
    if (segment.is_writable) scan_segment(target, segment, found);
  }
  return found;
}

}  // namespace tide::walk
