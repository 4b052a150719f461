#include "api/hardened.h"

#include <cstring>

#include "api/audit.h"
#include "api/c_family.h"
#include "api/closed_pages.h"
#include "api/guarded.h"
#include "api/hardened_fast.h"
#include "api/seal.h"
#include "base/align.h"
#include "base/text.h"
#include "heap/block_bytes.h"
#include "sys/cpu.h"
#include "sys/fault.h"
#include "sys/report.h"
#include "sys/thread.h"
#include "sys/zero_pieces.h"

namespace tide::api {

uint32_t g_harden = 0;
uint64_t g_secret = 0;
bool g_has_standing_seals = false;
size_t g_short_room = 0;
constinit Quarantine g_quarantine;

namespace {

// Shorter ones keep their pages while they are free, since faults cost more than clearing does,
// also where they may not be touched; then they leave earlier.
constexpr size_t kPurgeToClear = size_t{2} << 20;
constexpr uint32_t kMostKept = 32;
constexpr size_t kMostKeptBytes = size_t{16} << 20;
constexpr size_t kMostLargeBytes = size_t{256} << 20;  // of addresses

constinit ClosedPages g_closed;

bool is_of_class(const void* p) { return g_engine.space().zone_of(p) != nullptr; }
size_t page_bytes() { return g_closed.page_bytes(); }

// Whether the last page of a large block is set apart, to be a guard page if there may be more.
bool has_guard(const void* p) {
  return g_harden >= kGuardLevel && !is_of_class(p) &&
         base::is_aligned(base::address_of(p), page_bytes());
}

Seal read_intact(const char* call, const void* p, size_t usable, size_t room) {
  Seal seal;
  if (!read_seal(g_secret, p, room, seal) || !has_slack(p, room, seal.slack)) {
    broken_seal(call, p, usable);
  }
  return seal;
}

Seal seal_of(const char* call, const void* p, size_t usable) {
  const size_t room = room_of(p, usable);
  if (!g_has_standing_seals || !is_of_class(p)) return read_intact(call, p, usable, room);
  if (!has_standing_seal(g_secret, p, room)) broken_seal(call, p, usable);
  return {};
}

void put_block(base::TextWriter& line, const void* p, size_t usable) {
  line.hex(base::address_of(p)).text(" (").decimal(usable);
  line.text(is_of_class(p) ? "-byte class)" : " bytes)");
}

[[noreturn]] void freed_before(const char* call, const void* p, size_t usable) {
  base::TextBuffer<200> line;
  const bool freeing = call[0] == 'f';
  line.text(freeing ? "double free" : call).text(" of ");
  put_block(line, p, usable);
  if (!freeing) line.text(", which is free already");
  sys::fatal(line.view());
}

[[noreturn]] void wrong_family(const void* p, size_t usable, Origin made, Origin freed) {
  static constexpr const char* kMakers[] = {"malloc", "new", "new[]"};
  static constexpr const char* kFreers[] = {"free", "delete", "delete[]"};
  base::TextBuffer<200> line;
  line.text(kFreers[static_cast<int>(freed)]).text(" of ");
  put_block(line, p, usable);
  line.text(", which comes from ").text(kMakers[static_cast<int>(made)]);
  line.text(" and wants ").text(kFreers[static_cast<int>(made)]);
  sys::fatal(line.view());
}

// What the caller of free says of a block that is `known` bytes long, and who made it.
void check_claims(const void* p, size_t usable, size_t known, const Seal& seal, Origin origin,
                  size_t bytes) {
  const bool is_right = bytes == known % kSizeBits || (bytes == 0 && known == 1);
  if (bytes != kUnknownBytes && !is_right) wrong_size(p, bytes);
  if (g_harden >= kExactLevel && seal.origin != origin) {
    wrong_family(p, usable, seal.origin, origin);
  }
}

void clear(void* p, size_t usable) {
  const size_t page = page_bytes();
  const bool gone = usable >= kPurgeToClear && base::is_aligned(base::address_of(p), page) &&
                    usable % page == 0 && g_engine.space().vm.purge(p, usable);
  if (!gone) clear_written(p, usable);
}

// What counts may be limited (RLIMIT_DATA), and closed pages don't count: where they can't be
// opened again they are unmapped, and their place is taken again when there is room.
bool reopen_entry(Quarantine::Entry& entry) {
  if (g_closed.open_block(entry.block, entry.bytes)) return true;
  entry.gone = g_engine.unmap_closed(entry.block);
  return entry.gone;
}

void leave_quarantine(heap::ThreadCache* cache, const Quarantine::Entry& entry) {
  if (TIDE_UNLIKELY(entry.gone)) return g_engine.forget_closed(entry.block);
  g_engine.release_slow(cache, entry.block);
}

// Into the large blocks' quarantine, where nobody may touch it. `open`: all of it is accessible; if
// not, and whoever would have to leave can't be opened or unmapped either, the block stays out of
// use for good: a closed page must never be in a free block.
void enter_large(heap::ThreadCache* cache, const Quarantine::Entry& entry, bool open) {
  const auto close_entry = [](const Quarantine::Entry& e) {
    g_closed.close_block(e.block, e.bytes);  // a refusal costs the detection
  };
  const Quarantine::Entry out = g_quarantine.exchange(entry, g_secret, reopen_entry, close_entry);
  if (out.block != nullptr) {
    if (out.block != entry.block) {
      leave_quarantine(cache, out);
    } else if (open || g_closed.open_block(entry.block, entry.bytes)) {
      g_engine.release_slow(cache, entry.block);
    } else {
      // To audits a live block as any other.
      const size_t room = room_of(entry.block, entry.bytes);
      put_seal(g_secret, entry.block, room, room, true, Origin::kMalloc);
    }
  }
  Quarantine::Entry early;
  while (g_quarantine.exceeds(kMostLargeBytes, kMostKept, kMostKeptBytes) &&
         g_quarantine.take(early, reopen_entry)) {
    leave_quarantine(cache, early);
  }
}

// All blocks leave before their time. False: there were none.
bool empty_quarantine(heap::ThreadCache* cache) {
  bool any = false;
  Quarantine::Entry large;
  while (g_quarantine.take(large, reopen_entry)) {
    leave_quarantine(cache, large);
    any = true;
  }
  return any;
}

// take_block(); when there is no memory, once more with that of the quarantine.
void* take_block_somehow(heap::ThreadCache* cache, const Request& request, size_t bytes) {
  void* const block = take_block(cache, request, bytes);
  if (TIDE_LIKELY(block != nullptr) || g_harden < 2 || !empty_quarantine(cache)) return block;
  return take_block(cache, request, bytes);
}

// A block with a standing seal.
void release_sealed(heap::ThreadCache* cache, void* p, const heap::PlainBlock& block,
                    size_t bytes) {
  const size_t usable = block.bytes();
  const size_t room = usable - kSealBytes;
  if (TIDE_UNLIKELY(!has_standing_seal(g_secret, p, room))) broken_seal("free", p, usable);
  if (!may_be_size(usable, bytes)) wrong_size(p, bytes);
  clear_block(p, room);
  if (g_harden >= 2 && cache != nullptr && g_engine.may_wait(block)) {
    g_engine.retire_plain(*cache, p, block, check_untouched);
  } else {
    g_engine.release_plain(cache, p, block);
  }
}

// The same at level 3.
void release_exact(heap::ThreadCache* cache, void* p, const heap::PlainBlock& block, Origin origin,
                   size_t bytes) {
  const size_t usable = block.bytes();
  {
    const SealInFlight flight(cache);
    const Seal seal = read_intact("free", p, usable, usable - kSealBytes);
    check_claims(p, usable, usable - kSealBytes - seal.slack, seal, origin, bytes);
    clear_block(p, usable);
    if (cache != nullptr && g_engine.may_wait(block)) {
      g_engine.retire_plain(*cache, p, block, leave_unseen);
    } else {
      g_engine.release_plain(cache, p, block);
    }
  }
  audit_if_due(cache);
}

void prepare_block(void* block, size_t bytes) {
  put_standing_seal(g_secret, block, bytes - kSealBytes);
}
// At level 3 each block is read before anybody writes to it.
void touch_block(void* block, size_t bytes) {
  sys::touch_for_writing(block);
  sys::touch_for_writing(static_cast<char*>(block) + bytes - 1);
}
void inspect_block(void* block, size_t bytes) { check_untouched(block, bytes); }

}  // namespace

void harden(heap::Config& config) {
  config.hardened = g_harden != 0;
  config.leaves_moved = g_harden >= kGuardLevel;
  config.tail_bytes = config.hardened ? kSealBytes : 0;
  config.prepare = g_has_standing_seals ? prepare_block : config.hardened ? touch_block : nullptr;
  config.inspect = inspect_block;
}

void touched_after_free(const void* block, size_t usable) {
  base::TextBuffer<200> line;
  const size_t at = first_other_than(0, block, usable - kSealBytes);
  line.text("write after free to byte ").decimal(at).text(" of ");
  put_block(line, block, usable);
  sys::fatal(line.view());
}

size_t room_of(const void* block, size_t usable) {
  return usable - kSealBytes - (has_guard(block) ? page_bytes() : 0);
}

void broken_seal(const char* call, const void* block, size_t usable) {
  base::TextBuffer<200> line;
  line.text(call).text(" of ");
  put_block(line, block, usable);
  line.text(", past whose end was written");
  sys::fatal(line.view());
}

void start_hardening(uint32_t level) {
  if (level == 0) return;
  sys::LinuxVm vm;
  g_secret = vm.random_seed() * 0xd6e8feb86659fd93;
  g_closed.start(vm.page_size());
  sys::choose_vectors();
  g_harden = level;
  g_has_standing_seals = level < kExactLevel;
  if (level == 1 && layout::kDetects) g_short_room = kShortRoom;
  if (level >= 2) watch_for_faults();
  if (level >= kExactLevel) start_audits();
}

void* hardened_allocate(heap::ThreadCache* cache, const Request& request) {
  const SealInFlight flight(cache);
  const size_t page = page_bytes();
  if (request.bytes > static_cast<size_t>(PTRDIFF_MAX) - 4 * page) return nullptr;
  const size_t bytes = request.bytes == 0 ? 1 : request.bytes;  // programs use the last byte
  const size_t with_guard = base::align_up(bytes + kSealBytes, page) + page;
  const bool is_large =
      bytes + kSealBytes > layout::kClassedMaxBytes || request.alignment > layout::kMidMaxBytes;
  void* block = take_block_somehow(cache, request,
                                   is_large && g_harden >= 2 ? with_guard : bytes + kSealBytes);
  if (block == nullptr) return nullptr;
  size_t usable = g_engine.usable_bytes(block);
  if (has_guard(block) && usable < with_guard) {
    // Its class had no memory, and this is a large block without room for the guard page.
    g_engine.release_slow(cache, block);
    block = take_block(cache, request, with_guard);
    if (block == nullptr) return nullptr;
    usable = g_engine.usable_bytes(block);
  }
  bool guarded = false;
  if (is_of_class(block)) {
    if (g_has_standing_seals) {
      if (request.zeroed) put_standing_seal(g_secret, block, usable - kSealBytes);
      return block;
    }
    check_untouched(block, usable);
  } else if (has_guard(block)) {
    // Nobody could wait for a page that the system refuses to open when the heap is destroyed.
    guarded = request.heap == nullptr && g_closed.close_guard(block, usable);
  }
  put_seal(g_secret, block, room_of(block, usable), bytes, guarded, request.origin);
  return block;
}

size_t hardened_bytes(const char* call, const void* p, size_t usable) {
  if (!is_of_class(p) && in_quarantine(p)) freed_before(call, p, usable);
  return room_of(p, usable) - seal_of(call, p, usable).slack;
}

size_t hardened_bytes_at_most(const void* p, size_t usable) {
  const size_t room = room_of(p, usable);
  Seal seal{};
  const bool is_exact = !g_has_standing_seals || !is_of_class(p);
  return is_exact && read_seal(g_secret, p, room, seal) ? room - seal.slack : room;
}

namespace {

void release_other(heap::ThreadCache* cache, void* p, size_t usable, Origin origin, size_t bytes) {
  const SealInFlight flight(cache);
  const bool large = !is_of_class(p);
  if (large && in_quarantine(p)) freed_before("free", p, usable);
  const Seal seal = seal_of("free", p, usable);
  if (!large && g_has_standing_seals) {
    if (!may_be_size(usable, bytes)) wrong_size(p, bytes);
  } else {
    check_claims(p, usable, room_of(p, usable) - seal.slack, seal, origin, bytes);
  }
  if (!large) {
    clear_block(p, g_has_standing_seals ? usable - kSealBytes : usable);
  } else if (g_harden >= 2 && g_engine.heap_of(p) == nullptr) {
    const bool keeps = usable < kPurgeToClear || !g_engine.space().vm.purge(p, usable);
    if (keeps) {
      clear_written(p, room_of(p, usable) + kSealBytes);
    }
    // Its guard page is closed with it.
    if (seal.guarded) g_closed.forget_guard();
    return enter_large(cache, {p, usable, keeps}, !seal.guarded);
  } else {
    clear(p, usable);
  }
  if (g_engine.release_slow(cache, p) != heap::Released::kDone) bad_pointer("free", p);
}

}  // namespace

bool hardened_release(heap::ThreadCache* cache, void* p, Origin origin, size_t bytes) {
  const heap::PlainBlock block = heap::plain_block(g_engine.space(), p);
  if (TIDE_LIKELY(block.stack != 0)) {
    if (g_has_standing_seals) {
      release_sealed(cache, p, block, bytes);
    } else {
      release_exact(cache, p, block, origin, bytes);
    }
    return true;
  }
  const size_t usable = g_engine.usable_bytes(p);
  if (usable == 0) return false;
  release_other(cache, p, usable, origin, bytes);
  if (g_audits) audit_if_due(cache);
  return true;
}

bool hardened_grow_in_place(void* p, size_t usable, size_t bytes) {
  constexpr size_t kAlsoChecked = 64;
  if (!is_of_class(p) && in_quarantine(p)) return false;
  const size_t room = room_of(p, usable);
  const SealInFlight flight(cache_or_null());
  Seal seal;
  if (!read_seal(g_secret, p, room, seal)) return false;
  const size_t known = room - seal.slack;
  if (!heap::stays_in_class(room, bytes)) return false;
  // Of a slack that does not fit into its field the beginning is not known: it stays as it is.
  const bool stays = seal.slack == kMostSlack && bytes <= known;
  if (bytes < known && !stays) return false;
  const size_t grown = stays ? 0 : bytes - known;
  const size_t checked = grown + kAlsoChecked < seal.slack ? grown + kAlsoChecked : seal.slack;
  if (first_other_than(kSlackByte, static_cast<char*>(p) + known, checked) != checked) return false;
  seal.slack -= grown;
  put_seal_word(g_secret, p, room, seal);
  return true;
}

void* hardened_resize(void* p, size_t usable, size_t bytes) {
  const size_t room = room_of(p, usable);
  const SealInFlight flight(cache_or_null());
  const Seal seal = seal_of("realloc", p, usable);
  if (heap::stays_in_class(room, bytes)) {
    // All of a block with a standing seal is the program's, as malloc_usable_size says.
    if (is_of_class(p) && g_has_standing_seals) return p;
    const size_t known = room - seal.slack;
    // What is given up is cleared, like everything that is freed.
    if (bytes < known) memset(static_cast<char*>(p) + bytes, 0, known - bytes);
    put_seal(g_secret, p, room, bytes, seal.guarded, seal.origin);
    return p;
  }
  if (is_of_class(p) || bytes < room || bytes > SIZE_MAX / 2) return nullptr;
  // Pages move only as long as they have one kind of access.
  if (seal.guarded && !g_closed.open_guard(p, usable)) return nullptr;
  const size_t page = page_bytes();
  const size_t wanted =
      has_guard(p) ? base::align_up(bytes + kSealBytes, page) + page : bytes + kSealBytes;
  const bool leaves =
      g_engine.config().leaves_moved && bytes > room && g_engine.heap_of(p) == nullptr;
  void* const moved = g_engine.resize(p, usable, wanted);
  void* const block = moved == nullptr ? p : moved;
  const size_t now = g_engine.usable_bytes(block);
  const bool guarded = seal.guarded && g_closed.close_guard(block, now);
  if (moved != nullptr) memset(static_cast<char*>(moved) + room, 0, kSealBytes);
  put_seal(g_secret, block, room_of(block, now), moved == nullptr ? room - seal.slack : bytes,
           guarded, seal.origin);
  // What is left of it is closed as any freed block.
  if (leaves && moved != nullptr && moved != p) enter_large(cache_or_null(), {p, usable}, true);
  return moved;
}

bool in_quarantine(const void* p) {
  Quarantine::Entry found;
  return g_harden >= 2 && g_quarantine.find(p, false, found);
}

void count_quarantine_as_cached(heap::Stats& stats) {
  if (g_harden < 2) return;
  g_quarantine.for_each([&stats](const Quarantine::Entry& entry) {
    const size_t bytes = g_engine.whole_bytes(entry.block, entry.bytes);
    --stats.live_blocks;
    stats.live_bytes -= bytes;
    stats.cached_bytes += bytes;
    if (bytes > g_engine.config().huge_threshold_bytes) {
      --stats.huge_live_blocks;
      stats.huge_live_bytes -= bytes;
    } else {
      --stats.large_live_blocks;
      stats.large_live_bytes -= bytes;
    }
  });
}

void clear_heap(heap::PrivateHeap<sys::LinuxVm>* heap) {
  g_engine.visit_blocks(
      [](const heap::BlockInfo& info, void* id) {
        if (info.heap_id == *static_cast<uint16_t*>(id)) {
          if (info.size_class != 0) {
            memset(info.address, 0, info.usable_bytes);
          } else {
            seal_of("heap_destroy", info.address, info.usable_bytes);
          }
        }
        return true;
      },
      &heap->id);
}

namespace {

// Below the first of our blocks is no memory.
void explain_underflow(uintptr_t address) {
  const uintptr_t start = (address | (page_bytes() - 1)) + 1;
  const heap::PointerInfo info = g_engine.describe(reinterpret_cast<void*>(start));
  if (info.kind != heap::PointerInfo::Kind::kLive) return;
  base::TextBuffer<200> line;
  line.text("underflow: access to ").hex(address).text(", ").decimal(start - address);
  line.text(" bytes before the block at ");
  put_block(line, reinterpret_cast<void*>(start), info.block_bytes);
  sys::warn(line.view());
}

void explain_fault(uintptr_t address) {
  if (explain_guarded_fault(address) || g_harden < 2) return;
  base::TextBuffer<200> line;
  const auto* const p = reinterpret_cast<const void*>(address);
  Quarantine::Entry freed;
  if (g_quarantine.find(p, true, freed)) {
    line.text("use after free: access to ").hex(address).text(" in the freed block at ");
    put_block(line, freed.block, freed.bytes);
    return sys::warn(line.view());
  }
  const heap::PointerInfo info = g_engine.describe(p);
  if (info.kind == heap::PointerInfo::Kind::kForeign) return explain_underflow(address);
  if (info.kind != heap::PointerInfo::Kind::kInside || !info.live || info.size_class != 0) return;
  if (address < info.block + info.block_bytes - page_bytes()) return;
  line.text("overflow: access to ").hex(address).text(", past the end of the block at ");
  put_block(line, reinterpret_cast<void*>(info.block), info.block_bytes);
  sys::warn(line.view());
}

}  // namespace

void watch_for_faults() {
  static std::atomic<bool> watches{false};
  if (!watches.load(std::memory_order_relaxed) && !watches.exchange(true)) {
    sys::watch_faults(explain_fault);
  }
}

void repair_hardening_in_child() {
  g_quarantine.repair_in_child();
  repair_audit_in_child();
}

}  // namespace tide::api
