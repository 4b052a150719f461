#include "trace/peak.h"

namespace tide::trace {

Histogram Peak::peak_sizes() const {
  if (is_saved_) return saved_sizes_;
  Histogram sizes = sizes_;
  for (const Change& change : changes_) {
    if (change.came) {
      sizes.remove(change.size);
    } else {
      sizes.add(change.size);
    }
  }
  return sizes;
}

std::vector<Histogram::Bin> Peak::peak_stacks() const {
  if (is_saved_) return saved_stacks_;
  std::vector<Histogram::Bin> stacks = stacks_;
  for (const Change& change : changes_) {
    if (change.stack == 0) continue;
    Histogram::Bin& bin = stacks[change.stack];
    bin.count += change.came ? ~uint64_t{0} : 1;
    bin.sum += change.came ? 0 - change.size : change.size;
  }
  return stacks;
}

void Peak::save() {
  saved_sizes_ = peak_sizes();
  saved_stacks_ = peak_stacks();
  is_saved_ = true;
  changes_.clear();
}

}  // namespace tide::trace
