#include "tests/faults/injector.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" const char __executable_start;
extern "C" const char etext;

namespace tide::faults {

namespace {

constexpr uint32_t kMostSites = 4096;
#if defined(MAP_32BIT)
constexpr int kLowAddresses = MAP_32BIT;
#else
constexpr int kLowAddresses = 0;
#endif

// All zero at first; a slot is taken by who sets its key.
struct SharedSite {
  std::atomic<uint64_t> key;
  std::atomic<uintptr_t> address;
  std::atomic<uintptr_t> caller;
  std::atomic<uint64_t> calls;
  std::atomic<uint64_t> faults;
  std::atomic<uint32_t> run_count;  // ever, of which the last ones are known
  std::atomic<uint64_t> runs[kKnownRuns];
};
struct Shared {
  std::atomic<uint64_t> faults;
  SharedSite sites[kMostSites];
};

// The code under test. No thread-local state in here: the allocator's helper thread has none.
uintptr_t g_begin = 0;
uintptr_t g_end = 0;
Shared* g_shared = nullptr;
Plan g_plan = kNoFaults;
uint64_t g_run = 0;
std::atomic<bool> g_armed{false};
std::atomic<uint64_t> g_calls{0};
std::atomic<uint64_t> g_faults{0};
std::atomic<size_t> g_mapped{0};
// Mappings that nobody wanted to use, a few to each bucket: nothing but their addresses is lost
// when they can't go. Not just the last ones: between a thread's mmap and its munmap the others may
// make any number of calls.
constexpr size_t kUnwantedBuckets = 4096;
std::atomic<void*> g_unwanted[kUnwantedBuckets][16];

bool is_under_test(uintptr_t address) { return address >= g_begin && address < g_end; }

struct Search {
  uintptr_t address;
  uintptr_t caller;
  bool found;
};

_Unwind_Reason_Code look_at_frame(_Unwind_Context* context, void* argument) {
  auto& search = *static_cast<Search*>(argument);
  const uintptr_t ip = _Unwind_GetIP(context);
  if (search.found) {
    search.caller = ip;
    return _URC_END_OF_STACK;
  }
  search.found = ip == search.address;
  return _URC_NO_REASON;
}

uintptr_t caller_of(uintptr_t address) {
  Search search{address, 0, false};
  _Unwind_Backtrace(look_at_frame, &search);
  return search.caller;
}

SharedSite* site_for(Call call, uintptr_t address, uintptr_t caller) {
  uint64_t key = ((caller - g_begin) * 31 + address - g_begin) * 0x9e3779b97f4a7c15;
  key = (key & ~uint64_t{7}) | (static_cast<uint64_t>(call) + 1);
  for (uint32_t i = 0; i < kMostSites; ++i) {
    SharedSite& slot = g_shared->sites[((key >> 40) + i) % kMostSites];
    uint64_t seen = 0;
    if (slot.key.load(std::memory_order_relaxed) == key ||
        slot.key.compare_exchange_strong(seen, key) || seen == key) {
      slot.address.store(address, std::memory_order_relaxed);
      slot.caller.store(caller, std::memory_order_relaxed);
      return &slot;
    }
  }
  return nullptr;
}

// Threads of one run may note it twice; that does no harm.
void note_run(SharedSite& site) {
  if (g_plan.sites[0] != 0 && site.run_count.load() != 0) return;
  const uint32_t count = site.run_count.load();
  if (count != 0 && site.runs[(count - 1) % kKnownRuns].load() == g_run) return;
  site.runs[count % kKnownRuns].store(g_run);
  site.run_count.store(count + 1);
}

int planned_error(Call call, const SharedSite* site) {
  for (const uint64_t key : g_plan.sites) {
    if (key != 0 && site != nullptr && key == site->key.load()) return g_plan.site_error;
  }
  if (((g_plan.kinds >> static_cast<uint32_t>(call)) & 1) == 0) return 0;
  const uint64_t number = g_calls.fetch_add(1, std::memory_order_relaxed) + 1;
  return number < g_plan.first || number - g_plan.first >= g_plan.count ? 0 : g_plan.error;
}

// The error that this call is to fail with; 0: none.
int fault_for(Call call, void* return_address) {
  const auto address = reinterpret_cast<uintptr_t>(return_address);
  if (!g_armed.load(std::memory_order_acquire) || !is_under_test(address)) return 0;
  SharedSite* const site = site_for(call, address, caller_of(address));
  if (site != nullptr) {
    note_run(*site);
    site->calls.fetch_add(1, std::memory_order_relaxed);
  }
  const int error = planned_error(call, site);
  if (error == 0) return 0;
  g_faults.fetch_add(1, std::memory_order_relaxed);
  g_shared->faults.fetch_add(1, std::memory_order_relaxed);
  if (site != nullptr) site->faults.fetch_add(1, std::memory_order_relaxed);
  return error == kElsewhere && call != Call::kMmap ? EPERM : error;
}

void count_mapped(void* return_address, ptrdiff_t bytes) {
  if (is_under_test(reinterpret_cast<uintptr_t>(return_address))) {
    g_mapped.fetch_add(static_cast<size_t>(bytes), std::memory_order_relaxed);
  }
}

auto& unwanted_like(void* address) {
  const uint64_t page = reinterpret_cast<uintptr_t>(address) >> 12;
  return g_unwanted[((page * 0x9e3779b97f4a7c15) >> 40) % kUnwantedBuckets];
}

void note_unwanted(void* address) {
  for (auto& slot : unwanted_like(address)) {
    void* expected = nullptr;
    if (slot.compare_exchange_strong(expected, address)) return;
  }
  abort();
}

// It is none from now on.
bool was_unwanted(void* address) {
  for (auto& slot : unwanted_like(address)) {
    void* expected = address;
    if (slot.compare_exchange_strong(expected, nullptr)) return true;
  }
  return false;
}

// What would have been called, which may be a sanitizer's. Before start_injector(): the system's.
template <class Function>
struct Next {
  const char* name;
  Function* function = nullptr;
  void find() { function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name)); }
};
constinit Next<void*(void*, size_t, int, int, int, off_t)> g_mmap{"mmap"};
constinit Next<int(void*, size_t)> g_munmap{"munmap"};
constinit Next<int(void*, size_t, int)> g_mprotect{"mprotect"};
constinit Next<int(void*, size_t, int)> g_madvise{"madvise"};
constinit Next<void*(void*, size_t, size_t, int, ...)> g_mremap{"mremap"};
constinit Next<int(void*, size_t, unsigned char*)> g_mincore{"mincore"};

int find_library(dl_phdr_info* info, size_t, void*) {
  if (strstr(info->dlpi_name, "libtide.so") == nullptr) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = info->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0) continue;
    g_begin = info->dlpi_addr + part.p_vaddr;
    g_end = g_begin + part.p_memsz;
  }
  return 1;
}

}  // namespace

void start_injector() {
  void* const memory =
      reinterpret_cast<void*>(syscall(SYS_mmap, nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) abort();
  g_shared = static_cast<Shared*>(memory);
  if (dl_iterate_phdr(find_library, nullptr) == 0) {
    g_begin = reinterpret_cast<uintptr_t>(&__executable_start);
    g_end = reinterpret_cast<uintptr_t>(&etext);
  }
  g_mmap.find();
  g_munmap.find();
  g_mprotect.find();
  g_madvise.find();
  g_mremap.find();
  g_mincore.find();
  caller_of(0);  // the unwinder's own preparations
}

void arm(const Plan& plan, uint64_t run) {
  g_plan = plan;
  g_run = run;
  g_calls = 0;
  g_faults = 0;
  g_armed.store(true, std::memory_order_release);
}
void disarm() { g_armed.store(false, std::memory_order_release); }

uint64_t calls_made() { return g_calls.load(); }
uint64_t faults_made() { return g_faults.load(); }
size_t mapped_bytes() { return g_mapped.load(); }
uint64_t total_faults() { return g_shared->faults.load(); }

uint32_t site_count() { return kMostSites; }
Site site(uint32_t index) {
  const SharedSite& slot = g_shared->sites[index];
  const uint64_t key = slot.key.load();
  const uint32_t count = slot.run_count.load();
  Site result{key,
              static_cast<Call>((key - 1) & 7),
              slot.address.load(),
              slot.caller.load(),
              slot.calls.load(),
              slot.faults.load(),
              count < kKnownRuns ? count : kKnownRuns,
              {}};
  for (uint32_t i = 0; i < result.run_count; ++i) result.runs[i] = slot.runs[i].load();
  return result;
}

}  // namespace tide::faults

using tide::faults::Call;

extern "C" {

#pragma GCC visibility push(default)

void* mmap(void* address, size_t bytes, int protection, int flags, int file, off_t offset) {
  void* const from = __builtin_return_address(0);
  bool is_elsewhere = false;
  if (const int error = tide::faults::fault_for(Call::kMmap, from)) {
    is_elsewhere = error == tide::faults::kElsewhere;
    if (!is_elsewhere) {
      errno = error;
      return MAP_FAILED;
    }
    flags &= ~MAP_FIXED_NOREPLACE;
    if (address == nullptr) flags |= tide::faults::kLowAddresses;
    address = nullptr;
  }
  const auto& next = tide::faults::g_mmap;
  void* const result = next.function != nullptr
                           ? next.function(address, bytes, protection, flags, file, offset)
                           : reinterpret_cast<void*>(syscall(SYS_mmap, address, bytes, protection,
                                                             flags, file, offset));
  if (result != MAP_FAILED) tide::faults::count_mapped(from, static_cast<ptrdiff_t>(bytes));
  if (result != MAP_FAILED && (protection == PROT_NONE || is_elsewhere)) {
    tide::faults::note_unwanted(result);
  }
  return result;
}

void* mmap64(void* address, size_t bytes, int protection, int flags, int file, off_t offset)
    __attribute__((alias("mmap")));

int munmap(void* address, size_t bytes) {
  void* const from = __builtin_return_address(0);
  // Before it is gone: its addresses may be another's at once.
  const bool was_unwanted = tide::faults::was_unwanted(address);
  if (const int error = tide::faults::fault_for(Call::kMunmap, from)) {
    if (was_unwanted) {
      tide::faults::count_mapped(from, -static_cast<ptrdiff_t>(bytes));
    }
    errno = error;
    return -1;
  }
  const auto& next = tide::faults::g_munmap;
  const int result = next.function != nullptr
                         ? next.function(address, bytes)
                         : static_cast<int>(syscall(SYS_munmap, address, bytes));
  if (result == 0) tide::faults::count_mapped(from, -static_cast<ptrdiff_t>(bytes));
  return result;
}

int mprotect(void* address, size_t bytes, int protection) {
  if (const int error = tide::faults::fault_for(Call::kMprotect, __builtin_return_address(0))) {
    errno = error;
    return -1;
  }
  const auto& next = tide::faults::g_mprotect;
  return next.function != nullptr
             ? next.function(address, bytes, protection)
             : static_cast<int>(syscall(SYS_mprotect, address, bytes, protection));
}

int madvise(void* address, size_t bytes, int advice) {
  if (const int error = tide::faults::fault_for(Call::kMadvise, __builtin_return_address(0))) {
    errno = error;
    return -1;
  }
  const auto& next = tide::faults::g_madvise;
  return next.function != nullptr ? next.function(address, bytes, advice)
                                  : static_cast<int>(syscall(SYS_madvise, address, bytes, advice));
}

void* mremap(void* address, size_t before, size_t after, int flags, ...) {
  void* const from = __builtin_return_address(0);
  constexpr int kDontUnmap = 4;
  va_list list;
  va_start(list, flags);
  void* const place = (flags & MREMAP_FIXED) != 0 ? va_arg(list, void*) : nullptr;
  va_end(list);
  if (const int error = tide::faults::fault_for(Call::kMremap, from)) {
    // The system may have got as far as this.
    if (place != nullptr && syscall(SYS_munmap, place, after) == 0) {
      tide::faults::count_mapped(from, -static_cast<ptrdiff_t>(after));
    }
    errno = error;
    return MAP_FAILED;
  }
  // Not the sanitizers': they know no MREMAP_DONTUNMAP.
  const auto result =
      reinterpret_cast<void*>(syscall(SYS_mremap, address, before, after, flags, place));
  if (result != MAP_FAILED) {
    size_t gone = (flags & kDontUnmap) != 0 ? 0 : before;
    if (place != nullptr) gone += after;  // what was mapped there
    tide::faults::count_mapped(from, static_cast<ptrdiff_t>(after - gone));
  }
  return result;
}

int mincore(void* address, size_t bytes, unsigned char* resident) {
  if (const int error = tide::faults::fault_for(Call::kMincore, __builtin_return_address(0))) {
    errno = error;
    return -1;
  }
  const auto& next = tide::faults::g_mincore;
  return next.function != nullptr
             ? next.function(address, bytes, resident)
             : static_cast<int>(syscall(SYS_mincore, address, bytes, resident));
}

#pragma GCC visibility pop
}
