#include "walk/glibc_lists.h"

#include <fmt/format.h>

#include <algorithm>

namespace tide::walk::glibc {
namespace {

constexpr size_t kMostProblems = 1000;

// What is wrong with a chunk of a list of chunks of `bytes`; empty: nothing.
std::string fault_of(const Memory& memory, uint64_t chunk, uint64_t bytes) {
  if (chunk % kAlignment != 0 || memory.area_of(chunk) == nullptr) {
    return fmt::format("leads to {:#x}, where no chunk can be", chunk);
  }
  const auto head = memory.word(chunk + 8);
  if (!head.has_value()) return fmt::format("leads to {:#x}, which is not there", chunk);
  if (size_of(*head) != bytes) {
    return fmt::format("holds a chunk of {} bytes at {:#x}, in a list of such of {}",
                       size_of(*head), chunk, bytes);
  }
  return {};
}

// visit(chunk) for each, from `first` on, until it returns false. Links lead from block to block in
// a thread cache (`lead` is kChunkHead then), from chunk to chunk in a fast bin. Returns what was
// wrong, if anything.
template <class Visit>
std::string follow(const Memory& memory, const Variant& variant, uint64_t first, uint64_t lead,
                   uint64_t bytes, Visit visit) {
  for (uint64_t link = first; link != 0;) {
    const uint64_t chunk = link - lead;
    std::string fault = fault_of(memory, chunk, bytes);
    if (!fault.empty()) return fault;
    if (!visit(chunk)) return {};
    const uint64_t at = chunk + kForward;
    const auto next = memory.word(at);
    if (!next.has_value()) return fmt::format("leads to {:#x}, which is not there", chunk);
    link = variant.follow(at, *next);
  }
  return {};
}

std::string thread_name(int thread) {
  return thread == 0 ? "a thread" : fmt::format("thread {}", thread);
}

}  // namespace

FreeLists::FreeLists(const Memory& memory, Arenas& arenas) : memory_(memory), arenas_(arenas) {
  caches_ = find_thread_caches(memory, arenas);
  find_variant(memory, caches_, arenas);
  for (const FoundCache& cache : caches_) add_cache(cache);
  for (uint32_t number = 0; number < arenas.all.size(); ++number) {
    Arena& arena = arenas.all[number];
    arena.has_fast_bins = add_fast_bins(number) && arena.has_state;
  }
  if (!arenas.is_cut) return;
  add_marked_chunks(memory, arenas, caches_, cached_);
  doubtful_ = find_doubtful_chunks(memory, arenas, records_, cached_);
}

void FreeLists::add_cache(const FoundCache& cache) {
  records_.add(cache.address - kChunkHead);
  HeapThread thread;
  thread.id = cache.thread;
  for (size_t bin = 0; bin < ThreadCache::kBins; ++bin) {
    const uint64_t bytes = fast_chunk_bytes(bin);
    uint64_t count = 0;
    const std::string name =
        fmt::format("the tcache of {} for {} bytes", thread_name(cache.thread), bytes - 8);
    bool is_cut = false;
    const std::string fault =
        follow(memory_, arenas_.variant, cache.content.entries[bin], kChunkHead, bytes,
               [&](uint64_t chunk) {
                 is_cut = !cached_.add(chunk);
                 if (!is_cut) ++count;
                 if (is_cut)
                   note(chunk, name +
                                   " holds a chunk that is in a list already: freed twice, or "
                                   "written to after it was freed");
                 return !is_cut;
               });
    thread.cached_blocks += count;
    thread.cached_bytes += count * (bytes - kChunkOverhead);
    const uint64_t expected = cache.content.counts[bin];
    if (!fault.empty()) {
      note(cache.address, name + ' ' + fault);
    } else if (!is_cut && (count > expected + 1 || expected > count + 1)) {
      note(cache.address,
           fmt::format("{} says that it holds {}, and holds {}", name, expected, count));
    }
  }
  threads_.push_back(thread);
}

bool FreeLists::add_fast_bins(uint32_t number) {
  bool has_all = true;
  const Arena& arena = arenas_.all[number];
  for (size_t bin = 0; bin < ArenaState::kFastBins; ++bin) {
    const uint64_t bytes = fast_chunk_bytes(bin);
    const std::string name =
        fmt::format("the fast bin of arena {} for {} bytes", number, bytes - kChunkOverhead);
    const std::string fault =
        follow(memory_, arenas_.variant, arena.state.fast_bins[bin], 0, bytes, [&](uint64_t chunk) {
          const bool is_new = cached_.add(chunk);
          if (!is_new)
            note(chunk, name +
                            " holds a chunk that is in a list already: freed twice, or written to "
                            "after it was freed");
          return is_new;
        });
    if (fault.empty()) continue;
    note(arena.address, name + ' ' + fault);
    has_all = false;
  }
  return has_all;
}

const ChunkSet& FreeLists::in_bins() const {
  if (!has_read_bins_) {
    has_read_bins_ = true;
    bin_counts_.resize(arenas_.all.size());
    for (uint32_t number = 0; number < arenas_.all.size(); ++number) add_bins(number);
  }
  return in_bins_;
}

uint64_t FreeLists::bin_count(uint32_t arena) const {
  in_bins();
  return bin_counts_[arena];
}

void FreeLists::add_bins(uint32_t number) const {
  const Arena& arena = arenas_.all[number];
  if (!arena.has_state) return;
  for (size_t bin = 1; bin < ArenaState::kBins; ++bin) {
    const uint64_t self = bin_address(arena.address, bin);
    uint64_t before = self;
    for (uint64_t chunk = arena.state.bins[2 * bin - 2]; chunk != self;) {
      const bool can_be = chunk % kAlignment == 0 && memory_.area_of(chunk) != nullptr;
      const auto forward = can_be ? memory_.word(chunk + kForward) : std::nullopt;
      if (!forward.has_value() || memory_.word(chunk + kBack) != before) {
        note(
            before == self ? arena.address : before,
            fmt::format("bin {} of arena {} leads to {:#x}, which does not lead back: a free chunk "
                        "was most likely written to",
                        bin, number, chunk));
        break;
      }
      if (!in_bins_.add(chunk)) {
        note(chunk,
             fmt::format("bin {} of arena {} holds a chunk that is in a bin already", bin, number));
        break;
      }
      ++bin_counts_[number];
      before = chunk;
      chunk = *forward;
    }
  }
}

std::string FreeLists::where(uint64_t chunk) const {
  const uint64_t bytes = size_of(memory_.word(chunk + 8).value_or(0));
  if (bytes < kLeastChunk) return {};
  const uint64_t bin = (bytes - kLeastChunk) / kAlignment;
  bool is_here = false;
  // Lists that lead into themselves have ended the first time too.
  uint64_t left = 0;
  const auto visit = [&](uint64_t other) {
    is_here = other == chunk;
    return !is_here && left-- != 0;
  };
  for (const FoundCache& cache : caches_) {
    if (bin >= ThreadCache::kBins) break;
    left = UINT16_MAX;
    follow(memory_, arenas_.variant, cache.content.entries[bin], kChunkHead, bytes, visit);
    if (is_here) return "in the tcache of " + thread_name(cache.thread);
  }
  if (arenas_.is_cut) return "in the tcache of a thread, or in a fast bin";
  const Region* const region = arenas_.region_of(chunk);
  return fmt::format("in a fast bin of arena {}", region == nullptr ? 0 : region->arena);
}

void FreeLists::note(uint64_t at, std::string text) const {
  if (problems_.size() < kMostProblems) problems_.push_back({at, std::move(text)});
}

}  // namespace tide::walk::glibc
