#include "walk/glibc_thread_caches.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "walk/glibc_chunks.h"

namespace tide::walk::glibc {
namespace {

// The arena and the cache of a thread are variables of one file, so they are close to each other in
// a thread's memory, at the same distance from the thread pointer in all threads.
constexpr uint64_t kNear = 32;
constexpr uint64_t kDepths[] = {4 << 10, 64 << 10, 1 << 20};
constexpr size_t kMostAsked = 16;  // threads that are asked where the variable is

bool is_cache_chunk(const Memory& memory, uint64_t block) {
  if (block % kAlignment != 0 || block == 0 || memory.area_of(block) == nullptr) return false;
  const auto head = memory.word(block - 8);
  return head.has_value() && size_of(*head) == kThreadCacheChunk && (*head & kIsMapped) == 0;
}

// How many of its lists do not begin as they must; the number of lists if it is no cache at all.
size_t count_bad_lists(const Memory& memory, uint64_t block, ThreadCache& cache) {
  if (!memory.read(block, &cache, sizeof cache)) return ThreadCache::kBins;
  size_t bad = 0;
  for (size_t bin = 0; bin < ThreadCache::kBins; ++bin) {
    const uint64_t entry = cache.entries[bin];
    if (cache.counts[bin] == 0 && entry == 0) continue;
    const bool can_be = cache.counts[bin] != 0 && entry % kAlignment == 0 && entry != 0 &&
                        memory.area_of(entry) != nullptr;
    const bool fits =
        can_be && (memory.is_lost(entry - 8) ||
                   size_of(memory.word(entry - 8).value_or(0)) == fast_chunk_bytes(bin));
    if (!fits) ++bad;
  }
  return bad;
}

bool is_cache(const Memory& memory, uint64_t block, ThreadCache& cache) {
  // A call may have been at one; a program that writes where it must not may have spoilt another.
  constexpr size_t kMostBad = 3;
  return is_cache_chunk(memory, block) && count_bad_lists(memory, block, cache) <= kMostBad;
}

// Distances below `pointer` at which the variable may be.
void ask_thread(const Memory& memory, const std::set<uint64_t>& arenas, uint64_t pointer,
                uint64_t depth, std::map<uint64_t, size_t>& votes) {
  // Less of it may be there.
  const Segment* const segment = memory.target().segment_of(pointer - 8);
  if (segment == nullptr) return;
  const uint64_t low = std::max(pointer - depth, segment->start);
  std::vector<uint64_t> words((pointer - low) / 8);
  if (!memory.read(low, words.data(), words.size() * 8)) return;
  ThreadCache cache;
  for (size_t i = 0; i < words.size(); ++i) {
    if (!arenas.contains(words[i])) continue;
    for (size_t j = i - std::min<size_t>(i, kNear / 8); j < words.size() && j <= i + kNear / 8;
         ++j) {
      if (is_cache(memory, words[j], cache)) ++votes[(words.size() - j) * 8];
    }
  }
}

uint64_t find_distance(const Memory& memory, const Arenas& arenas) {
  std::set<uint64_t> addresses;
  for (const Arena& arena : arenas.all) {
    if (arena.address != 0) addresses.insert(arena.address);
  }
  for (const uint64_t depth : kDepths) {
    std::map<uint64_t, size_t> votes;
    size_t asked = 0;
    for (const Thread& thread : memory.target().threads()) {
      if (thread.thread_pointer % 8 != 0 || thread.thread_pointer < depth) continue;
      if (asked++ == kMostAsked) break;
      ask_thread(memory, addresses, thread.thread_pointer, depth, votes);
    }
    const auto best =
        std::max_element(votes.begin(), votes.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best != votes.end()) return best->first;
  }
  return 0;
}

std::vector<FoundCache> find_by_threads(const Memory& memory, uint64_t distance) {
  std::vector<FoundCache> caches;
  std::set<uint64_t> known;
  for (const Thread& thread : memory.target().threads()) {
    FoundCache cache;
    cache.thread = thread.id;
    cache.address = memory.word(thread.thread_pointer - distance).value_or(0);
    if (!is_cache(memory, cache.address, cache.content)) continue;
    if (known.insert(cache.address).second) caches.push_back(cache);
  }
  return caches;
}

// `with_main`: also such as lie in the main arena.
std::vector<FoundCache> find_by_content(const Memory& memory, const Arenas& arenas,
                                        bool with_main) {
  std::vector<FoundCache> caches;
  const ChunkSet none;
  for (const Region& region : arenas.regions) {
    if (region.arena == 0 && !with_main) continue;
    ChunkWalk walk(memory, arenas, region, {&none, &none, nullptr});
    for (auto chunks = walk.next(); !chunks.empty(); chunks = walk.next()) {
      for (const Chunk& chunk : chunks) {
        if (chunk.kind != ChunkKind::kLive || chunk.bytes != kThreadCacheChunk) continue;
        FoundCache cache;
        cache.address = chunk.address + kChunkHead;
        const bool is_sound = count_bad_lists(memory, cache.address, cache.content) == 0;
        const auto& counts = cache.content.counts;
        const bool holds_any = std::any_of(counts, counts + ThreadCache::kBins,
                                           [](uint16_t count) { return count != 0; });
        // The first chunk of the first region is the first thread's: that asked for it first.
        const bool is_first = chunk.address == region.range.start;
        if (is_sound && (holds_any || is_first)) caches.push_back(cache);
      }
    }
  }
  return caches;
}

// Whether all that it holds has the same second word, which is what thread caches mark their blocks
// with: the cache's address, or one random number for all caches of the process.
bool is_marked(const Memory& memory, const FoundCache& cache, uint64_t& mark) {
  uint64_t own = 0;
  for (const uint64_t entry : cache.content.entries) {
    if (entry == 0) continue;
    const uint64_t word = memory.word(entry + sizeof(uint64_t)).value_or(0);
    if (word == 0 || (own != 0 && word != own)) return false;
    own = word;
  }
  if (own == cache.address || own == 0) return true;
  if (mark == 0) mark = own;
  return own == mark;
}

void add_unknown(std::vector<FoundCache>& caches, const FoundCache& other) {
  const bool is_known = std::any_of(caches.begin(), caches.end(), [&](const FoundCache& cache) {
    return cache.address == other.address;
  });
  if (!is_known) caches.push_back(other);
}

// A process that was forked has the caches of its parent's other threads, and nobody uses them any
// more; a thread that ends itself empties its own.
void add_forked(const Memory& memory, const Arenas& arenas, std::vector<FoundCache>& caches) {
  uint64_t mark = 0;
  for (const FoundCache& cache : caches) is_marked(memory, cache, mark);
  for (const FoundCache& other : find_by_content(memory, arenas, false)) {
    const auto& entries = other.content.entries;
    const bool holds_any = std::any_of(entries, entries + ThreadCache::kBins,
                                       [](uint64_t entry) { return entry != 0; });
    if (holds_any && is_marked(memory, other, mark)) add_unknown(caches, other);
  }
}

// +1: mangled, -1: plain, 0: does not tell. The last link of a list leads to nothing.
int vote(const Memory& memory, uint64_t at) {
  const auto link = memory.word(at);
  if (!link.has_value()) return 0;
  if (*link == at >> 12) return 1;
  if (*link == 0) return -1;
  const uint64_t revealed = *link ^ (at >> 12);
  const bool leads_plain = *link % kAlignment == 0 && memory.area_of(*link) != nullptr;
  const bool leads_mangled = revealed % kAlignment == 0 && memory.area_of(revealed) != nullptr;
  return static_cast<int>(leads_mangled) - static_cast<int>(leads_plain);
}

}  // namespace

std::vector<FoundCache> find_thread_caches(const Memory& memory, const Arenas& arenas) {
  const std::vector<Thread>& threads = memory.target().threads();
  const bool are_known =
      !threads.empty() && std::all_of(threads.begin(), threads.end(),
                                      [](const Thread& t) { return t.thread_pointer != 0; });
  const uint64_t distance = are_known ? find_distance(memory, arenas) : 0;
  if (distance == 0) return find_by_content(memory, arenas, true);
  std::vector<FoundCache> caches = find_by_threads(memory, distance);
  if (arenas.is_cut) {
    // Of most threads the variable that leads to theirs is missing.
    for (const FoundCache& other : find_by_content(memory, arenas, true)) {
      add_unknown(caches, other);
    }
  } else if (arenas.all.size() > threads.size()) {
    add_forked(memory, arenas, caches);
  }
  return caches;
}

void find_variant(const Memory& memory, const std::vector<FoundCache>& caches, Arenas& arenas) {
  int votes = 0;
  for (const FoundCache& cache : caches) {
    for (const uint64_t entry : cache.content.entries) {
      if (entry != 0) votes += vote(memory, entry);
    }
  }
  for (const Arena& arena : arenas.all) {
    for (const uint64_t chunk : arena.state.fast_bins) {
      if (chunk != 0) votes += vote(memory, chunk + kForward);
    }
  }
  arenas.variant.is_linked_plainly = votes < 0;
}

}  // namespace tide::walk::glibc
