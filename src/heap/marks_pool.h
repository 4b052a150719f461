// The marks of thread caches (sample_points.h): made when a cache first needs them, and then kept
// for the next one. Its user has the lock.
#pragma once

#include "heap/metadata.h"
#include "heap/sample_points.h"
#include "heap/space.h"

namespace tide::heap {

class MarksPool {
 public:
  constexpr MarksPool() = default;

  // False: no memory.
  template <class Vm>
  bool give(Space<Vm>& space, Metadata<Vm>& metadata, ThreadCache& cache) {
    SampleMarks* marks = spare_;
    if (marks != nullptr) {
      spare_ = marks->next;
    } else {
      marks =
          static_cast<SampleMarks*>(metadata.allocate(space.vm, space.limits, sizeof(SampleMarks)));
    }
    cache.marks = marks;
    return marks != nullptr;
  }

  // The cache's stacks are as they are without marks from then on.
  void take(ThreadCache& cache) {
    SampleMarks* const marks = cache.marks;
    if (TIDE_LIKELY(marks == nullptr)) return;
    SamplePoints(cache).open_all();
    if (TIDE_UNLIKELY(marks->counts_calls)) layout::fill_tables(cache, cache.home, 0);
    marks->counts_calls = false;
    cache.marks = nullptr;
    marks->next = spare_;
    spare_ = marks;
  }

 private:
  SampleMarks* spare_ = nullptr;
};

}  // namespace tide::heap
