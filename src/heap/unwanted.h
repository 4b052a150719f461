// Mappings that are to go, but that the kernel does not let go yet (it may need one more mapping to
// cut one in two, and a process has vm.max_map_count). They stay ours, without their pages if that
// is to be had, until the kernel takes them. The list lies in their first bytes, so that it needs
// no memory just then. The owner's lock protects it.
#pragma once

#include <cstddef>
#include <new>

#include "base/racy.h"
#include "heap/limits.h"
#include "sys/vm.h"

namespace tide::heap {

template <sys::VmSource Vm>
class Unwanted {
 public:
  constexpr Unwanted() = default;

  // A mapping that could not be unmapped, of which `counted` bytes count for the footprint.
  void keep(Vm& vm, Limits& limits, void* mapping, size_t bytes, size_t counted) {
    const size_t page = vm.page_size();
    if (vm.purge(mapping, bytes)) {
      limits.dismiss(counted);
      counted = 0;
    }
    if (counted == 0) {  // the list's place in it
      limits.admit_always(page);
      counted = page;
    }
    first_ = new (mapping) Node{first_, bytes, counted};
    base::racy_store(bytes_, bytes_ + bytes);
  }

  // Tries again, those first that came last. Returns the bytes that have gone.
  size_t retry(Vm& vm, Limits& limits) {
    size_t total = 0;
    while (Node* const node = first_) {
      const Node copy = *node;
      first_ = copy.next;
      if (!vm.unmap(node, copy.bytes)) {
        first_ = node;
        break;
      }
      base::racy_store(bytes_, bytes_ - copy.bytes);
      limits.dismiss(copy.counted);
      total += copy.bytes;
    }
    return total;
  }

  size_t bytes() const { return base::racy_load(bytes_); }

 private:
  struct Node {
    Node* next;
    size_t bytes;
    size_t counted;
  };

  Node* first_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace tide::heap
