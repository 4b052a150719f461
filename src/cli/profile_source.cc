#include "cli/profile_source.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <thread>

#include "cli/process_number.h"
#include "host/error.h"
#include "host/pagemap.h"
#include "host/proc.h"
#include "inspect/page_pins.h"
#include "layout/thread_cache.h"
#include "walk/build_id.h"
#include "walk/core_target.h"
#include "walk/root_notes.h"
#include "walk/tide_caches.h"
#include "walk/tide_heap.h"
#include "walk/tide_root.h"

namespace tide::cli {
namespace {

using layout::ProfileTable;
using profile::Kind;
using profile::Profile;
using State = host::Pagemap::State;

uint64_t now_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Where the table is, and whether it is of a heap of Tide's. Address 0: there is none.
struct TableAt {
  uint64_t address;
  uint64_t root;   // 0: not of a heap of Tide's
  bool can_count;  // every call, when it is asked to
};
TableAt find_table(const walk::Target& target) {
  for (const uint64_t root : walk::find_roots(target)) {
    const walk::TideRoot described = walk::read_tide_root(target, root);
    const layout::HeapRoot& known = described.root;
    if (known.bytes < offsetof(layout::HeapRoot, held) || known.profile == nullptr) {
      throw host::Error(fmt::format("{} runs on a Tide without profiles (version {})",
                                    target.name(), described.version));
    }
    const uint64_t started = described.at(known.started);
    if (target.is_untouched(started) || walk::load_from<uint8_t>(target, started) == 0) continue;
    if (walk::load_from<uint32_t>(target, reinterpret_cast<uint64_t>(known.hardening.level)) != 0) {
      throw host::Error(
          fmt::format("{} is in hardened mode, which has no profiles", target.name()));
    }
    const bool can_count = known.bytes >= sizeof known;
    return {reinterpret_cast<uint64_t>(known.profile), root, can_count};
  }
  // A library that samples another malloc and was not asked to has never begun.
  const uint64_t noted = walk::find_noted_profile(target);
  const bool has_begun = noted != 0 && walk::load_from<ProfileTable>(target, noted).start_ns != 0;
  return {has_begun ? noted : 0, 0, false};
}

[[noreturn]] void fail_no_slabs(const std::string& name) {
  throw host::Error(
      fmt::format("--kind fragmentation: {} is of a program on another malloc; pins are known of "
                  "Tide's slabs only",
                  name));
}

// Long enough for a push that is tried again and again.
constexpr uint64_t kCountingSeconds = 60;

// What ProfileTable::is_on is to be. Who counts calls already goes on with it.
uint32_t wanted_for(const ProfileTable& table, LiveProfile::Calls calls) {
  const bool counts = layout::counts_calls(table.is_on);
  if (calls == LiveProfile::Calls::kByPlaces) return counts ? table.is_on : layout::kSamplesPlaces;
  const uint64_t end_s = layout::counting_end_s(table.is_on);
  if (counts && end_s == 0) return table.is_on;
  const uint64_t now_s = now_ns(CLOCK_MONOTONIC) / 1'000'000'000;
  if (counts && end_s > now_s + kCountingSeconds / 2) return table.is_on;
  const layout::SamplingMode mode = counts                   ? layout::sampling_mode(table.is_on)
                                    : table.stack_count == 0 ? layout::kSamplesEveryCall
                                                             : layout::kSamplesEveryCallNow;
  return layout::counting_until(mode, now_s + kCountingSeconds);
}

Profile read_tables(const walk::Target& target, uint64_t address, bool stands_still) {
  return profile::read_profile(
      [&](uint64_t from, void* to, size_t bytes) {
        target.read({{from, to, bytes}});
      },
      address, stands_still);
}

// The pages' states: of a process from its pagemap. Nothing: not known.
using PageStates = std::function<std::optional<std::vector<State>>(uint64_t start, uint64_t end)>;

inspect::PagePins look_at_slabs(const walk::Target& target, const std::vector<uint64_t>& roots,
                                const Profile& profile) {
  std::vector<uint64_t> blocks;
  for (const layout::SampledBlock& block : profile.blocks) blocks.push_back(block.address);
  inspect::PagePins pins(blocks);
  for (const uint64_t root : roots) {
    const walk::TideHeap heap(target, root);
    if (!heap.is_started()) continue;
    heap.for_each_span([&](const walk::Span& span) {
      pins.add(span);
      return true;
    });
  }
  return pins;
}

void sort_blocks(Profile& profile) {
  std::sort(profile.blocks.begin(), profile.blocks.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
}

std::vector<layout::SampledPages> no_pages(const Profile& profile) {
  std::vector<layout::SampledPages> pages;
  for (const layout::SampledBlock& block : profile.blocks)
    pages.push_back({block.address, 0, 0, 0});
  return pages;
}

// Of the blocks that `pins` was asked for. What was never touched pins nothing.
void fill_pins(const inspect::PagePins& pins, const PageStates& states,
               std::vector<layout::SampledPages>& pages) {
  for (const inspect::PagePins::Pin& pin : pins.pins()) {
    const auto state = states(pin.page, pin.page + 1);
    if (state && state->front() == State::kAbsent) continue;
    pages[pin.block].pinned += pin.bytes;
  }
}

void add_pins(Profile& profile, const inspect::PagePins& pins, const PageStates& states) {
  std::vector<layout::SampledPages> pages = no_pages(profile);
  fill_pins(pins, states, pages);
  profile::set_pages(profile, pages);
  profile.pinned_bytes = pins.total_bytes();
}

void fill_residency(const Profile& profile, const PageStates& states,
                    std::vector<layout::SampledPages>& pages) {
  const uint64_t page_bytes = host::Pagemap::page_bytes();
  for (size_t i = 0; i < pages.size(); ++i) {
    const layout::SampledBlock& block = profile.blocks[i];
    const uint64_t end = block.address + block.bytes;
    const auto known = states(block.address, end);
    if (!known)
      throw host::Error(
          fmt::format("process {} has ended, or its pagemap is not to be read", profile.pid));
    uint64_t page = block.address / page_bytes * page_bytes;
    for (const State state : *known) {
      const uint64_t next = page + page_bytes;
      const uint64_t bytes = std::min(end, next) - std::max(block.address, page);
      page = next;
      if (state == State::kResident) pages[i].resident += bytes;
      if (state == State::kSwapped) pages[i].swapped += bytes;
    }
  }
}

void add_residency(Profile& profile, const PageStates& states) {
  std::vector<layout::SampledPages> pages = no_pages(profile);
  fill_residency(profile, states, pages);
  profile::set_pages(profile, pages);
}

Profile load_core(const std::string& path, Kind kind, const std::string& sysroot) {
  if (kind == Kind::kResidency) {
    throw host::Error("--kind residency: a core does not say which pages were resident");
  }
  const walk::CoreTarget target(path, "", sysroot);
  const TableAt table = find_table(target);
  if (table.address == 0) {
    throw host::Error(fmt::format("{} is not of a process on Tide", target.name()));
  }
  if (table.root == 0 && kind == Kind::kFragmentation) fail_no_slabs(target.name());
  Profile profile = read_tables(target, table.address, true);
  if (profile.table.start_ns == 0 && profile.stacks.empty()) {
    throw host::Error(
        fmt::format("{}: no samples were taken in this process; run it with the option profile",
                    target.name()));
  }
  for (const walk::Segment& segment : target.segments()) {
    host::Mapping mapping;
    mapping.start = segment.start;
    mapping.end = segment.end;
    mapping.offset = segment.offset;
    mapping.name = segment.file;
    profile.maps.push_back(std::move(mapping));
    if (!segment.is_file() || segment.offset != 0) continue;
    profile.files.push_back(
        {segment.start, target.path_of(segment), walk::build_id_at(target, segment.start)});
  }
  profile.pid = target.threads().empty() ? 0 : target.threads().front().id;
  // A core does not say when it was; its file does, and the last sample.
  profile.now_ns = std::max(profile.table.start_ns, profile.table.peak_ns);
  for (const auto& block : profile.blocks) profile.now_ns = std::max(profile.now_ns, block.time_ns);
  struct stat status {};
  if (stat(path.c_str(), &status) == 0) {
    profile.real_now_ns = static_cast<uint64_t>(status.st_mtime) * 1'000'000'000;
  }
  if (kind == Kind::kFragmentation) {
    sort_blocks(profile);
    add_pins(profile, look_at_slabs(target, walk::find_roots(target), profile),
             [](uint64_t, uint64_t) { return std::nullopt; });
  }
  return profile;
}

bool is_elf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  return file.read(magic, sizeof magic) && std::memcmp(magic, "\177ELF", sizeof magic) == 0;
}

}  // namespace

LiveProfile::LiveProfile(int pid) : pid_(pid), target_(pid, false) {
  const TableAt table = find_table(target_);
  if (table.address == 0) throw host::Error(not_on_tide(pid, host::Proc().command(pid)));
  address_ = table.address;
  root_ = table.root;
  can_count_ = table.can_count;
}

void LiveProfile::complete(Profile& profile) const {
  profile.maps = host::parse_maps(host::Proc().read(pid_, "maps"));
  const auto files = std::make_shared<host::MappedFiles>(host::Proc(), pid_);
  for (const host::Mapping& mapping : profile.maps) {
    if (!mapping.is_file() || mapping.offset != 0) continue;
    std::string path = files->path_of(mapping);
    std::string id = path.empty() ? walk::build_id_at(target_, mapping.start) : std::string();
    profile.files.push_back({mapping.start, std::move(path), std::move(id)});
  }
  profile.process = files;
  profile.now_ns = now_ns(CLOCK_MONOTONIC);
  profile.real_now_ns = now_ns(CLOCK_REALTIME);
  profile.pid = pid_;
  // Switched on from outside, nobody has noted when.
  if (profile.table.start_ns == 0) profile.table.start_ns = profile.now_ns;
}

Profile LiveProfile::read() const {
  Profile result = read_tables(target_, address_, false);
  complete(result);
  return result;
}

Profile LiveProfile::read_with_pages(Kind kind, bool may_stop) const {
  const host::Pagemap pagemap(host::Proc(), pid_);
  const PageStates states = [&](uint64_t start, uint64_t end) {
    return pagemap.states(start, end);
  };
  if (kind == Kind::kResidency) {
    Profile result = read();
    add_residency(result, states);
    return result;
  }
  if (root_ == 0) fail_no_slabs(target_.name());
  const std::vector<uint64_t> roots = walk::find_roots(target_);
  // It may be stopped in the middle of a change.
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(i == 0 ? 0 : 1));
    auto target = std::make_unique<walk::LiveTarget>(pid_, may_stop);
    if (may_stop && walk::load_from<ProfileTable>(*target, address_).changes % 2 != 0) continue;
    Profile result = read_tables(*target, address_, false);
    sort_blocks(result);
    const inspect::PagePins pins = look_at_slabs(*target, roots, result);
    target.reset();  // it goes on
    complete(result);
    add_pins(result, pins, states);
    return result;
  }
  throw host::Error(fmt::format("the profile of process {} changes all the time; try again", pid_));
}

Profile LiveProfile::read_with_all_pages() const {
  const host::Pagemap pagemap(host::Proc(), pid_);
  const PageStates states = [&](uint64_t start, uint64_t end) {
    return pagemap.states(start, end);
  };
  Profile result = read();
  sort_blocks(result);
  std::vector<layout::SampledPages> pages = no_pages(result);
  if (root_ != 0) {
    const inspect::PagePins pins = look_at_slabs(target_, walk::find_roots(target_), result);
    fill_pins(pins, states, pages);
    result.pinned_bytes = pins.total_bytes();
    result.has_pins = true;
  }
  fill_residency(result, states, pages);
  profile::set_pages(result, pages);
  return result;
}

bool LiveProfile::start(uint64_t gap_bytes, Calls calls) const {
  const auto table = walk::load_from<ProfileTable>(target_, address_);
  // Over another malloc every call is counted anyway, and a Tide of before can't.
  const uint32_t wanted = can_count_ ? wanted_for(table, calls) : layout::kSamplesPlaces;
  if (table.is_on == wanted && (gap_bytes == 0 || gap_bytes == table.gap_bytes)) return false;
  constexpr uint64_t kUsualGap = uint64_t{512} << 10;
  const uint64_t gap = gap_bytes != 0 ? gap_bytes : table.is_on != 0 ? table.gap_bytes : kUsualGap;
  write(offsetof(ProfileTable, gap_bytes), gap);
  if (table.start_ns == 0) write(offsetof(ProfileTable, start_ns), now_ns(CLOCK_MONOTONIC));
  write(offsetof(ProfileTable, is_on), wanted);
  call_threads();
  return table.is_on == 0;
}

void LiveProfile::count_on() const {
  const auto table = walk::load_from<ProfileTable>(target_, address_);
  if (!can_count_ || table.is_on == 0) return;
  const uint32_t wanted = wanted_for(table, Calls::kEvery);
  if (wanted == table.is_on) return;
  write(offsetof(ProfileTable, is_on), wanted);
  if (!layout::counts_calls(table.is_on)) call_threads();
}

bool LiveProfile::is_on() const {
  return walk::load_from<ProfileTable>(target_, address_).is_on != 0;
}

bool LiveProfile::counts_calls() const {
  return layout::counts_calls(walk::load_from<ProfileTable>(target_, address_).is_on);
}

void LiveProfile::count_no_calls() const {
  if (is_on()) write(offsetof(ProfileTable, is_on), uint32_t{layout::kSamplesPlaces});
}

// What a thread does not notice by itself when it needs no slow path.
void LiveProfile::call_threads() const {
  if (!can_count_) return;
  const walk::TideRoot root = walk::read_tide_root(target_, root_);
  const layout::SizeTablesAt& at = root.root.size_tables;
  const std::vector<uint8_t> closed(at.bytes, at.closed);
  for (const walk::CacheRecord& cache : walk::read_caches(target_, root)) {
    if (cache.state != static_cast<uint8_t>(layout::CacheState::kOwned)) continue;
    const iovec here{const_cast<uint8_t*>(closed.data()), closed.size()};
    const iovec there{reinterpret_cast<void*>(cache.address + at.offset), closed.size()};
    // One that is gone by now belongs to no thread, and its next one fills them anew.
    static_cast<void>(process_vm_writev(pid_, &here, 1, &there, 1, 0));
  }
}

void LiveProfile::stop() const { write(offsetof(ProfileTable, is_on), uint32_t{0}); }

// One that nobody has waited for is there and runs no more.
bool LiveProfile::is_there() const {
  const std::string stat = host::Proc().try_read(pid_, "stat").value_or("");
  const size_t name_end = stat.rfind(") ");
  return name_end != std::string::npos && stat[name_end + 2] != 'Z' && stat[name_end + 2] != 'X';
}

template <class T>
void LiveProfile::write(size_t offset, T value) const {
  const iovec here{&value, sizeof value};
  const iovec there{reinterpret_cast<void*>(address_ + offset), sizeof value};
  if (process_vm_writev(pid_, &here, 1, &there, 1, 0) != sizeof value) {
    throw host::Error(
        fmt::format("can't switch sampling in process {}: {}", pid_, std::strerror(errno)));
  }
}

Profile load_profile_or_core(const std::string& path, Kind kind, const std::string& sysroot) {
  if (is_elf(path)) return load_core(path, kind, sysroot);
  Profile profile = profile::load_profile(path, sysroot);
  if (profile::is_of_pages(kind) && !profile.has_pages) {
    throw host::Error(fmt::format(
        "'{}' is of an older libtide.so, which noted nothing of pages; --kind {} needs that", path,
        profile::kind_name(kind)));
  }
  if (kind == Kind::kFragmentation && !profile.has_pins) fail_no_slabs(fmt::format("'{}'", path));
  return profile;
}

}  // namespace tide::cli
