#include "probe/guard_pool.h"

#include <cstring>

#include "base/align.h"
#include "base/compiler.h"
#include "base/random_step.h"
#include "sys/protection.h"
#include "sys/report.h"
#include "sys/stack.h"
#include "sys/thread.h"
#include "sys/vm.h"

namespace tide::probe {

void GuardPool::Stack::capture() {
  thread = sys::thread_number();
  count = static_cast<uint32_t>(sys::capture_stack_to_start(frames, kMostFrames));
}

void GuardPool::Stack::show(const char* what) const {
  base::TextBuffer<128> title;
  title.text("  ").text(what).text(" by thread ").signed_decimal(thread).put(':');
  sys::warn(title.view());
  for (uint32_t i = 0; i < count; ++i) {
    base::TextBuffer<480> line;
    line.text("    #").decimal(i).put(' ').hex(frames[i]).put(' ');
    sys::describe_code(frames[i], line);
    sys::warn(line.view());
  }
}

bool GuardPool::start() {
  if (base_.load(std::memory_order_relaxed) != 0) return true;
  sys::LinuxVm vm;
  page_ = vm.page_size();
  // Kept when the second step fails: somebody will try again.
  if (slots_ == nullptr) {
    slots_ = static_cast<Slot*>(vm.map(base::align_up(kSlots * sizeof(Slot), page_)));
  }
  void* const pages = slots_ == nullptr ? nullptr : sys::reserve(reserved_bytes());
  if (pages == nullptr) return false;
  random_ = vm.random_seed() | 1;
  base_.store(base::address_of(pages), std::memory_order_release);
  return true;
}

// All bytes are as allocate() left them.
bool GuardPool::is_filled(uintptr_t begin, uintptr_t end) {
  if (begin == end) return true;
  const auto* const bytes = reinterpret_cast<const unsigned char*>(begin);
  return *bytes == kFilling && memcmp(bytes, bytes + 1, end - begin - 1) == 0;
}

// One that never had a block, as long as there are any; then the one that was freed first.
uint32_t GuardPool::take_slot() {
  if (used_ < kSlots) return used_++;
  const uint32_t slot = oldest_;
  if (slot == kNone) return kNone;
  oldest_ = slots_[slot].next;
  if (oldest_ == kNone) newest_ = kNone;
  return slot;
}

void* GuardPool::allocate(size_t bytes, size_t alignment) {
  const size_t page_bytes = sys::LinuxVm().page_size();
  if (bytes > page_bytes || alignment > page_bytes) return nullptr;
  if (bytes == 0) bytes = 1;  // else its address would be the guard page's
  Stack here;
  here.capture();  // may call malloc: not under the lock
  const ds::LockGuard guard(lock_);
  if (!start()) return nullptr;
  const uint32_t number = take_slot();
  if (number == kNone) return nullptr;
  Slot& slot = slots_[number];
  const uintptr_t page = page_of(number);
  if (!sys::allow_access(page, page_)) {
    // No more mappings: the slot waits behind the others.
    slot.state = State::kFreed;
    slot.next = oldest_;
    oldest_ = number;
    if (newest_ == kNone) newest_ = number;
    return nullptr;
  }
  // Against the guard page behind it, or one time in four against the one before it.
  random_ = base::random_step(random_);
  const bool left = (random_ >> 62) == 0;
  const size_t least = alignment < 16 ? 16 : alignment;
  slot.block = left ? page : base::align_down(page + page_ - bytes, least);
  slot.bytes = bytes;
  slot.allocated = here;
  slot.freed.count = 0;
  auto* const block = reinterpret_cast<unsigned char*>(slot.block);
  memset(reinterpret_cast<void*>(page), kFilling, page_);
  memset(block, 0, bytes);
  slot.state = State::kLive;
  return block;
}

GuardPool::Slot* GuardPool::slot_of(const void* p) {
  if (!holds(p)) return nullptr;
  const size_t number = (base::address_of(p) - base_.load(std::memory_order_relaxed)) / page_;
  if (number % 2 == 0 || number / 2 >= used_) return nullptr;
  return &slots_[number / 2];
}

GuardPool::Found GuardPool::find(const void* p, size_t& bytes) {
  if (!holds(p)) return Found::kElsewhere;
  const ds::LockGuard guard(lock_);
  const Slot* const slot = slot_of(p);
  if (slot == nullptr || slot->block != base::address_of(p)) return Found::kInside;
  bytes = slot->bytes;
  return slot->state == State::kLive ? Found::kLive : Found::kFreed;
}

GuardPool::Found GuardPool::find_around(const void* p, uintptr_t& block, size_t& bytes) {
  block = bytes = 0;
  if (!holds(p)) return Found::kElsewhere;
  const ds::LockGuard guard(lock_);
  const Slot* const slot = slot_of(p);
  if (slot == nullptr || slot->state == State::kUnused) return Found::kInside;
  block = slot->block;
  bytes = slot->bytes;
  return slot->state == State::kLive ? Found::kLive : Found::kFreed;
}

void* GuardPool::next_live(uint32_t& slot, size_t& bytes) {
  const ds::LockGuard guard(lock_);
  while (slot < used_) {
    const Slot& next = slots_[slot++];
    if (next.state != State::kLive) continue;
    bytes = next.bytes;
    return reinterpret_cast<void*>(next.block);
  }
  return nullptr;
}

GuardPool::Found GuardPool::release(void* p, bool& written) {
  Stack here;
  here.capture();
  written = false;
  if (!holds(p)) return Found::kElsewhere;
  const ds::LockGuard guard(lock_);
  Slot* const slot = slot_of(p);
  if (slot == nullptr || slot->block != base::address_of(p)) return Found::kInside;
  if (slot->state != State::kLive) return Found::kFreed;
  const auto number = static_cast<uint32_t>(slot - slots_);
  const uintptr_t page = page_of(number);
  written = !is_filled(page, slot->block) || !is_filled(slot->block + slot->bytes, page + page_);
  slot->freed = here;
  if (written) return Found::kLive;  // to be reported; the process ends
  slot->state = State::kFreed;
  // The contents go with the access; a refusal costs the check of this one block.
  sys::LinuxVm().purge(reinterpret_cast<void*>(page), page_);
  sys::deny_access(page, page_);
  slot->next = kNone;
  if (newest_ == kNone) {
    oldest_ = number;
  } else {
    slots_[newest_].next = number;
  }
  newest_ = number;
  return Found::kLive;
}

// Of a guard page: the slot whose block is nearer.
uint32_t GuardPool::slot_near(uintptr_t address) const {
  const size_t offset = address - base_.load(std::memory_order_relaxed);
  const size_t number = offset / page_;
  if (number % 2 == 1) return static_cast<uint32_t>(number / 2);
  const bool before = offset % page_ < page_ / 2;  // behind the block of the slot before
  if (number == 0 || (!before && number / 2 < kSlots)) return static_cast<uint32_t>(number / 2);
  return static_cast<uint32_t>(number / 2 - 1);
}

bool GuardPool::report(uintptr_t address, const char* what) {
  if (!holds(reinterpret_cast<void*>(address))) return false;
  const uint32_t number = slot_near(address);
  if (number >= used_) return false;
  const Slot& slot = slots_[number];
  if (slot.block == 0) return false;
  base::TextBuffer<256> text;
  if (what != nullptr) {
    text.text(what).text(" of ").hex(address);
    if (address != slot.block) {
      text.text(", which is inside the ").text(slot.state == State::kLive ? "live" : "free");
      text.text(" block at ").hex(slot.block);
    }
  } else if (slot.state == State::kFreed) {
    text.text("use after free: access to ").hex(address).text(" in the freed block at ");
    text.hex(slot.block);
  } else if (address >= slot.block + slot.bytes) {
    text.text("overflow: access to ").hex(address).text(", ");
    text.decimal(address - slot.block - slot.bytes).text(" bytes past the end of the block at ");
    text.hex(slot.block);
  } else if (address < slot.block) {
    text.text("underflow: access to ").hex(address).text(", ");
    text.decimal(slot.block - address).text(" bytes before the block at ").hex(slot.block);
  } else {
    return false;  // the program's own protection
  }
  text.text(" (").decimal(slot.bytes).text(" bytes, guarded)");
  if (what != nullptr && what[0] != 'd' && address == slot.block && slot.state == State::kFreed) {
    text.text(", which is free already");
  }
  sys::warn(text.view());
  slot.allocated.show("allocated");
  if (slot.freed.count != 0) slot.freed.show("freed");
  return true;
}

}  // namespace tide::probe
