// Virtual memory: what the engine asks of an operating system, and the Linux answer.
//
// `VmSource` is the contract that heap::Engine is templated over; tests/ has a second one that
// fails on request. All functions keep errno. All addresses and sizes that go in are multiples of
// page_size() unless a comment says otherwise. Memory that comes out reads as zero.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace tide::sys {

enum class MapResult : uint8_t {
  kOk,
  kTaken,     // something else is mapped there, or the kernel gave another place
  kNoMemory,  // the kernel or a limit refused
};

enum class MoveResult : uint8_t {
  kMoved,
  kUnchanged,  // the system refused
  kLost,       // nor is it known whether the destination is still mapped: it is not ours any more
};

struct PageRange {
  uintptr_t begin;
  size_t bytes;
};

template <class T>
concept VmSource = requires(T vm, uintptr_t address, size_t bytes, void* pointer,
                            const PageRange* ranges, uint32_t count) {
  // Bytes of an OS page: a power of two, the same for the life of the process.
  { vm.page_size() } -> std::same_as<size_t>;
  // Bits of a user-space address, at most; a process may be able to use fewer.
  { vm.address_bits() } -> std::same_as<unsigned>;
  // A number that differs between processes; need not be a secret.
  { vm.random_seed() } -> std::same_as<uint64_t>;
  // Maps readable and writable memory at exactly `address`, never over anything.
  { vm.map_at(address, bytes) } -> std::same_as<MapResult>;
  // Maps memory anywhere but below 4 GiB; null when refused.
  { vm.map(bytes) } -> std::same_as<void*>;
  // An address where `bytes` are free now; nothing is mapped. 0 when there is none.
  { vm.find_free(bytes) } -> std::same_as<uintptr_t>;
  // False leaves the mapping as it was, still ours.
  { vm.unmap(pointer, bytes) } -> std::same_as<bool>;
  // Gives the pages back; they read as zero when touched again. False: nothing may be assumed.
  { vm.purge(pointer, bytes) } -> std::same_as<bool>;
  // The same with some ranges, in one call. How many of them are gone, the first ones; of the next
  // one some pages may be. 0: not possible here or now.
  { vm.purge_many(ranges, count) } -> std::same_as<uint32_t>;
  // As purge() as soon as the system needs them; until then what is in them may stay. Touching them
  // again takes them back.
  { vm.purge_lazily(pointer, bytes) } -> std::same_as<bool>;
  // Makes the pages resident, cheaper than one by one as they are touched. Only a hint.
  vm.populate(pointer, bytes);
  // The same of whole huge pages, by huge pages where the system has them; it is not to make any
  // there later, where pages have been given back. What lies a huge page before is ours as well,
  // and may lose its huge pages to come.
  vm.populate_huge(pointer, bytes);
  // Whether few of the pages are resident; a guess.
  { vm.is_sparse(pointer, bytes) } -> std::same_as<bool>;
  // Grows or shrinks a mapping made by map(), moving it if needed; null leaves it untouched.
  { vm.remap(pointer, bytes, bytes) } -> std::same_as<void*>;
  // Takes the access to the pages away, for good. Only a hint.
  vm.deny(pointer, bytes);
  // Whether cores have the pages. False: nothing has changed, or only for some of them; the system
  // splits mappings for it, and may refuse.
  { vm.set_dumped(pointer, bytes, bool{}) } -> std::same_as<bool>;
  // Moves the pages of part of a mapping to a new mapping, which is returned; the part stays mapped
  // and reads as zero. Null: not possible, nothing has changed.
  { vm.detach_pages(pointer, bytes) } -> std::same_as<void*>;
  // Moves the pages of part of one mapping over those of part of another, which are gone then; the
  // former reads as zero. Neither part may lie on more than one mapping. What is in the first page
  // may be lost, whatever the result.
  { vm.move_pages(pointer, pointer, bytes) } -> std::same_as<MoveResult>;
};

// Stateless: every instance is the same operating system.
class LinuxVm {
 public:
  size_t page_size();
  unsigned address_bits();
  uint64_t random_seed();
  MapResult map_at(uintptr_t address, size_t bytes);
  void* map(size_t bytes);
  uintptr_t find_free(size_t bytes);
  bool unmap(void* address, size_t bytes);
  bool purge(void* address, size_t bytes);
  uint32_t purge_many(const PageRange* ranges, uint32_t count);
  bool purge_lazily(void* address, size_t bytes);
  void populate(void* address, size_t bytes);
  void populate_huge(void* address, size_t bytes);
  bool is_sparse(void* address, size_t bytes);
  void* remap(void* address, size_t old_bytes, size_t new_bytes);
  void deny(void* address, size_t bytes);
  bool set_dumped(void* address, size_t bytes, bool dumped);
  void* detach_pages(void* from, size_t bytes);
  MoveResult move_pages(void* from, void* to, size_t bytes);
};

static_assert(VmSource<LinuxVm>);

}  // namespace tide::sys
