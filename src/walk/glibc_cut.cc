#include "walk/glibc_cut.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "walk/glibc_chain.h"
#include "walk/glibc_chunks.h"

namespace tide::walk::glibc {
namespace {

// The break may share a mapping with the program's zeroed data, which comes first.
constexpr uint64_t kMostBefore = uint64_t{64} << 20;
// So many in a row are no accident behind a head as the first chunk has.
constexpr uint64_t kEnoughInARow = 8;

// Whether chunks lead from `at` on, as far as there is anything.
bool begins_row(const Memory& memory, uint64_t at, const Bounds& bounds) {
  auto head = memory.load<Head>(at);
  for (uint64_t count = 0; count < kEnoughInARow; ++count) {
    if (!head.has_value() || !can_be_chunk(*head, at, bounds)) return false;
    const uint64_t bytes = head->bytes();
    at += bytes;
    if (at == bounds.end) return true;
    head = memory.load<Head>(at);
    if (!head.has_value()) return true;
    if (!fits_behind(*head, bytes)) return false;
  }
  return true;
}

// The main arena's first chunk is the first thread's cache.
std::optional<Region> find_break(const Memory& memory) {
  constexpr uint64_t kFirstHead = kThreadCacheChunk | kPrevInUse;
  for (const Segment& segment : memory.target().segments()) {
    if (!segment.is_writable || segment.is_file()) continue;
    const Range* const area = memory.area_of(segment.start);
    if (area == nullptr) continue;
    const uint64_t end = segment.start + std::min({segment.present, segment.size(), kMostBefore});
    for (uint64_t at = segment.start; at < end; at += kPageBytes) {
      const auto head = memory.load<Head>(at);
      if (!head.has_value() || head->before_bytes != 0 || head->word != kFirstHead) continue;
      const Bounds bounds{area->end, 0, true, true};
      if (begins_row(memory, at, bounds)) return Region{{at, area->end}, 0, 0, true};
    }
  }
  return std::nullopt;
}

// The arena that a heap at `at` says that it belongs to, if it is a heap.
std::optional<uint64_t> arena_of_heap(const Memory& memory, uint64_t at) {
  const auto info = memory.load<HeapInfo>(at);
  if (!info.has_value()) return std::nullopt;
  const uint64_t first = info->arena & ~(kHeapMost - 1);
  const uint64_t offset = info->arena - first;
  const bool has_arena = offset >= 32 && offset <= 64 && offset % kAlignment == 0;
  const bool has_size = info->bytes >= kPageBytes && info->bytes % kPageBytes == 0 &&
                        info->bytes <= info->committed_bytes && info->committed_bytes <= kHeapMost;
  const bool is_in_row =
      first == at ? info->before == 0 : info->before != 0 && info->before % kHeapMost == 0;
  if (!has_arena || !has_size || !is_in_row || memory.area_of(first) == nullptr) {
    return std::nullopt;
  }
  return info->arena;
}

void add_arenas(const Memory& memory, Arenas& arenas) {
  memory.for_each_heap_place([&](uint64_t at) {
    const auto address = arena_of_heap(memory, at);
    if (!address.has_value() || arenas.all.size() == kMostArenas) return;
    const bool is_known = std::any_of(arenas.all.begin(), arenas.all.end(),
                                      [&](const Arena& a) { return a.address == *address; });
    if (is_known) return;
    Arena arena;
    arena.address = *address;
    arena.has_state = is_arena(memory, *address, arena.state);
    if (!arena.has_state) arena.state = {};
    arenas.variant.heap_info_bytes = *address % kHeapMost;
    arenas.all.push_back(arena);
  });
}

// visit(chunk) for all that are live as far as is known; of arenas whose fast bins are known only
// if they are wanted.
template <class Visit>
void for_each_live(const Memory& memory, const Arenas& arenas, const ChunkSet& records,
                   const ChunkSet& cached, bool with_known, Visit visit) {
  for (const Region& region : arenas.regions) {
    if (arenas.all[region.arena].has_fast_bins && !with_known) continue;
    ChunkWalk walk(memory, arenas, region, {&cached, &records, nullptr});
    for (auto chunks = walk.next(); !chunks.empty(); chunks = walk.next()) {
      for (const Chunk& chunk : chunks) {
        if (chunk.kind == ChunkKind::kLive) visit(chunk);
      }
    }
  }
}

// The largest chunks that are kept in thread caches, and in fast bins unless a program wants more.
constexpr uint64_t kMostCached = fast_chunk_bytes(ThreadCache::kBins - 1);
constexpr uint64_t kMostFast = 128;

// What may be in a fast bin.
struct Candidate {
  enum class Verdict : uint8_t { kOpen, kDoubtful, kLive };

  uint64_t bytes;
  uint64_t next;  // the chunk that its link leads to; 0: it is the last one
  Verdict verdict = Verdict::kOpen;
};
using Candidates = std::unordered_map<uint64_t, Candidate>;
using Verdict = Candidate::Verdict;

// Follows links: all of a fast bin's lead from one chunk of the size to the next, up to the last.
class Judge {
 public:
  Judge(const Memory& memory, Candidates& candidates) : memory_(memory), candidates_(candidates) {}

  Verdict verdict_of(uint64_t chunk) {
    way_.clear();
    Verdict verdict = Verdict::kOpen;
    for (auto at = candidates_.find(chunk); verdict == Verdict::kOpen;) {
      Candidate& candidate = at->second;
      verdict = candidate.verdict;
      if (verdict != Verdict::kOpen) break;
      way_.push_back(&candidate);
      candidate.verdict = Verdict::kLive;  // for a way that leads into itself
      if (candidate.next == 0 || memory_.is_lost(candidate.next + 8)) {
        verdict = Verdict::kDoubtful;
        break;
      }
      const uint64_t bytes = candidate.bytes;
      at = candidates_.find(candidate.next);
      if (at == candidates_.end() || at->second.bytes != bytes) verdict = Verdict::kLive;
    }
    for (Candidate* const candidate : way_) candidate->verdict = verdict;
    return verdict;
  }

 private:
  const Memory& memory_;
  Candidates& candidates_;
  std::vector<Candidate*> way_;
};

// The mark of thread caches: the first block of each list of those caches that are there must have
// the same one. False: they do not. 0: none of them holds any.
bool find_mark(const Memory& memory, const std::vector<FoundCache>& caches, uint64_t& mark) {
  for (const FoundCache& cache : caches) {
    for (const uint64_t entry : cache.content.entries) {
      const auto word = entry == 0 ? std::nullopt : memory.word(entry + sizeof(uint64_t));
      if (!word.has_value()) continue;
      if (mark != 0 && *word != mark) return false;
      mark = *word;
    }
  }
  return true;
}

// The mark is a random number: hardly ever an address, or a small number of either sign.
bool may_be_mark(const Memory& memory, uint64_t word) {
  const uint64_t top = word >> 48;
  return top != 0 && top != 0xffff && memory.target().segment_of(word) == nullptr;
}

// Whether a free chunk's link may stand in it: mangled, so that hardly anything else looks like it.
bool is_linked(const Memory& memory, const Arenas& arenas, uint64_t chunk) {
  if (arenas.variant.is_linked_plainly) return false;
  const uint64_t at = chunk + kForward;
  const auto link = memory.word(at);
  if (!link.has_value()) return false;
  const uint64_t next = arenas.variant.follow(at, *link);
  return next == 0 || (next % kAlignment == 0 && memory.area_of(next) != nullptr);
}

// Which second word linked chunks have most often: where all caches were cut off it is the mark.
class Mark {
 public:
  void add(uint64_t word) { ++counts_[word]; }
  // 0: there is none, or two are as frequent.
  uint64_t most_frequent() const {
    uint64_t best = 0;
    uint64_t most = 0;
    for (const auto& [word, count] : counts_) {
      if (count < most) continue;
      best = count == most ? 0 : word;
      most = count;
    }
    return best;
  }

 private:
  std::unordered_map<uint64_t, uint64_t> counts_;
};

}  // namespace

Arenas find_cut_arenas(const Memory& memory) {
  Arenas arenas;
  arenas.is_cut = true;
  Arena main;
  main.is_main = true;
  main.has_state = false;
  arenas.all.push_back(main);
  add_arenas(memory, arenas);
  if (const auto region = find_break(memory)) arenas.regions.push_back(*region);
  add_regions(memory, arenas);
  if (arenas.regions.empty()) return {};
  return arenas;
}

void add_marked_chunks(const Memory& memory, const Arenas& arenas,
                       const std::vector<FoundCache>& caches, ChunkSet& cached) {
  uint64_t mark = 0;
  if (!find_mark(memory, caches, mark)) return;
  const bool is_guess = mark == 0;
  std::vector<std::pair<uint64_t, uint64_t>> marked;  // chunks and their second words
  Mark guess;
  for_each_live(memory, arenas, {}, cached, true, [&](const Chunk& chunk) {
    if (chunk.bytes > kMostCached) return;
    const auto word = memory.word(chunk.address + kBack);
    if (!word.has_value() || (is_guess ? !may_be_mark(memory, *word) : *word != mark)) return;
    if (is_guess && !is_linked(memory, arenas, chunk.address)) return;
    if (is_guess) guess.add(*word);
    marked.emplace_back(chunk.address, *word);
  });
  if (is_guess) mark = guess.most_frequent();
  for (const auto& [chunk, word] : marked) {
    if (word == mark) cached.add(chunk);
  }
}

Doubtful find_doubtful_chunks(const Memory& memory, const Arenas& arenas, const ChunkSet& records,
                              const ChunkSet& cached) {
  Candidates candidates;
  for_each_live(memory, arenas, records, cached, false, [&](const Chunk& chunk) {
    const uint64_t at = chunk.address + kForward;
    const auto link = memory.word(at);
    if (chunk.bytes > kMostFast || !link.has_value()) return;
    const uint64_t next = arenas.variant.follow(at, *link);
    if (next == 0 || (next % kAlignment == 0 && arenas.region_of(next) != nullptr)) {
      candidates.emplace(chunk.address, Candidate{chunk.bytes, next});
    }
  });
  Doubtful doubtful;
  Judge judge(memory, candidates);
  for (const auto& [chunk, candidate] : candidates) {
    if (judge.verdict_of(chunk) != Verdict::kDoubtful) continue;
    doubtful.chunks.add(chunk);
    ++doubtful.count;
    doubtful.bytes += candidate.bytes;
  }
  return doubtful;
}

}  // namespace tide::walk::glibc
