// Every public function with hostile arguments: sizes and counts near the ends of their types, any
// alignment, null where it is allowed, a block of another heap where that is defined, buffers that
// are too small. What must fail fails with the right errno and changes nothing.
#include <cerrno>
#include <cstring>

#include "api/c_family.h"
#include "fuzz/live_blocks.h"
#include "sys/vm.h"

namespace {

using fuzz::Input;
using fuzz::LiveBlocks;
using fuzz::require;
namespace api = tide::api;

bool is_power_of_two(size_t n) { return n != 0 && (n & (n - 1)) == 0; }

// A size that is worth giving: either one that must fail, or one that there is memory for.
size_t hostile(Input& input, const LiveBlocks& blocks) {
  const size_t size = input.hostile_size();
  return size > LiveBlocks::kMostBytes || !blocks.is_full(size) ? size : 1;
}

class Entries {
 public:
  Entries() { heaps_[0] = api::heap_create(0), heaps_[1] = api::heap_create(size_t{8} << 20); }
  ~Entries() {
    for (tide_heap_t* const heap : heaps_) {
      blocks_.remove_all_of(heap);
      api::heap_destroy(heap);
    }
  }

  void run(Input& input) {
    errno = 0;
    switch (input.byte() % 20) {
      case 0:
        return got(api::allocate(size(input)));
      case 1:
        return allocate_array(input);
      case 2:
        return reallocate(input);
      case 3:
        return reallocate_array(input);
      case 4:
        return allocate_c11(input);
      case 5:
        return allocate_posix(input);
      case 6:
        return allocate_memalign(input);
      case 7:
        return got(api::allocate_on_page(size(input)), tide::sys::LinuxVm().page_size());
      case 8:
        return got(api::allocate_whole_pages(size(input)), tide::sys::LinuxVm().page_size());
      case 9:
        return release(input);
      case 10:
        return sizes(input);
      case 11:
        return heap_allocate(input);
      case 12:
        return heap_array(input);
      case 13:
        return heap_resize(input);
      case 14:
        return limits(input);
      case 15:
        return figures(input);
      case 16:
        return option(input);
      case 17:
        return create_and_destroy(input);
      case 18:
        return visit(input);
      default:
        return api::engine().verify();
    }
  }

 private:
  size_t size(Input& input) { return size_ = hostile(input, blocks_); }

  // Too much fails with ENOMEM; the rest is a block. The system may still refuse.
  void got(void* p, size_t alignment = 16, tide_heap_t* heap = nullptr) {
    if (p == nullptr) return require(errno == ENOMEM);
    require(size_ <= PTRDIFF_MAX);
    keep(p, alignment, heap);
  }
  void keep(void* p, size_t alignment, tide_heap_t* heap) {
    // Untouched memory of any size is to be had; the model keeps what it may write to.
    if (size_ <= LiveBlocks::kMostBytes) return blocks_.add(p, size_, alignment, heap);
    require(api::usable_size(p) >= size_);
    api::release(p);
  }

  void allocate_array(Input& input) {
    size_t count = input.hostile_size();
    size_t each = input.hostile_size();
    if (!product(count, each)) {
      require(api::allocate_array(count, each) == nullptr && errno == ENOMEM);
      return;
    }
    void* const p = api::allocate_array(count, each);
    if (p != nullptr && size_ <= LiveBlocks::kMostBytes) LiveBlocks::require_zero(p, size_);
    got(p);
  }
  // False when it overflows; else size_ is one to be asked for.
  bool product(size_t& count, size_t& each) {
    if (__builtin_mul_overflow(count, each, &size_)) return false;
    if (size_ <= LiveBlocks::kMostBytes && blocks_.is_full(size_)) count = each = size_ = 1;
    return true;
  }

  void reallocate(Input& input) {
    void* const p = input.byte() % 8 == 0 ? nullptr : blocks_.choose(input);
    size(input);
    if (p == nullptr) return got(api::resize(nullptr, size_));
    if (size_ == 0) {
      blocks_.remove(p);
      return require(api::resize(p, 0) == nullptr);
    }
    resized(p, [&] { return api::resize(p, size_); });
  }
  template <class Resize>
  void resized(void* p, Resize resize) {
    if (size_ <= LiveBlocks::kMostBytes) return blocks_.reallocate(p, size_, resize);
    // Only what can't be: a block of a terabyte would be one that the model must write to.
    if (size_ > PTRDIFF_MAX) require(resize() == nullptr && errno == ENOMEM);
  }

  void reallocate_array(Input& input) {
    void* const p = blocks_.choose(input);
    size_t count = input.hostile_size();
    size_t each = input.hostile_size();
    if (p == nullptr) return;
    if (!product(count, each)) {
      return blocks_.reallocate(p, 1, [&]() -> void* {
        require(api::resize_array(p, count, each) == nullptr && errno == ENOMEM);
        return nullptr;
      });
    }
    if (size_ != 0) resized(p, [&] { return api::resize_array(p, count, each); });
  }

  // Alignments that the system has no addresses for may be refused.
  void allocate_c11(Input& input) {
    const size_t alignment = input.hostile_size();
    void* const p = api::allocate_c11_aligned(alignment, size(input));
    if (!is_power_of_two(alignment)) return require(p == nullptr && errno == EINVAL);
    got(p, alignment);
  }
  void allocate_posix(Input& input) {
    const size_t alignment = input.hostile_size();
    void* const before = &size_;
    void* p = before;
    const int error = api::allocate_posix_aligned(&p, alignment, size(input));
    const bool is_valid = is_power_of_two(alignment) && alignment % sizeof(void*) == 0;
    require(error == 0 || p == before);
    if (!is_valid) return require(error == EINVAL);
    if (error != 0) return require(error == ENOMEM);
    got(p, alignment);
  }
  void allocate_memalign(Input& input) {
    const size_t alignment = input.hostile_size();
    void* const p = api::allocate_memalign(alignment, size(input));
    if (alignment > size_t{1} << 63) return require(p == nullptr && errno == EINVAL);
    size_t whole = 1;
    while (whole < alignment) whole *= 2;
    got(p, whole);
  }

  void release(Input& input) {
    const uint8_t kind = input.byte();
    void* const p = kind % 8 == 0 ? nullptr : blocks_.choose(input);
    if (p != nullptr) blocks_.remove(p);
    const size_t usable = api::usable_size(p);
    errno = kind;
    if (kind % 3 == 0) {
      api::release_sized(p, usable);
    } else if (kind % 3 == 1) {
      api::release_aligned_sized(p, usable);
    } else {
      api::release(p);
    }
    require(errno == kind);
  }

  void sizes(Input& input) {
    const size_t asked = input.hostile_size();
    const size_t good = api::good_size(asked);
    require(good == 0 ? asked > PTRDIFF_MAX / 2 : good >= asked);
    require(api::usable_size(nullptr) == 0 && api::heap_of(nullptr) == nullptr);
    api::set_mallopt(static_cast<int>(input.hostile_size()),
                     static_cast<int>(input.hostile_size()));
    if (input.byte() % 8 == 0) api::trim(input.hostile_size());
    if (input.byte() % 8 == 0) api::purge_to(input.hostile_size());
  }

  tide_heap_t* heap(Input& input) { return heaps_[input.byte() % 2]; }

  void heap_allocate(Input& input) {
    tide_heap_t* const chosen = heap(input);
    const size_t alignment = input.hostile_size();
    void* const p = api::heap_allocate(chosen, alignment, size(input));
    if (!is_power_of_two(alignment)) return require(p == nullptr && errno == EINVAL);
    got(p, alignment, chosen);
  }
  void heap_array(Input& input) {
    tide_heap_t* const chosen = heap(input);
    size_t count = input.hostile_size();
    size_t each = input.hostile_size();
    if (!product(count, each)) {
      require(api::heap_allocate_array(chosen, count, each) == nullptr && errno == ENOMEM);
      return;
    }
    void* const p = api::heap_allocate_array(chosen, count, each);
    if (p != nullptr && size_ <= LiveBlocks::kMostBytes) LiveBlocks::require_zero(p, size_);
    got(p, 16, chosen);
  }
  void heap_resize(Input& input) {
    tide_heap_t* const chosen = heap(input);
    void* const p = blocks_.choose(input);
    size(input);
    if (p == nullptr) return got(api::heap_resize(chosen, nullptr, size_), 16, chosen);
    if (blocks_.heap_of(p) != chosen) {
      return blocks_.reallocate(p, 1, [&]() -> void* {
        require(api::heap_resize(chosen, p, size_ + 1) == nullptr && errno == EINVAL);
        return nullptr;
      });
    }
    if (size_ != 0) resized(p, [&] { return api::heap_resize(chosen, p, size_); });
  }

  // What is set is what is read, what is refused changes nothing.
  static void limits(Input& input) {
    const size_t soft = input.hostile_size();
    const size_t hard = input.hostile_size();
    api::limits_set(0, 0);
    const bool is_auto = soft == TIDE_LIMIT_AUTO || hard == TIDE_LIMIT_AUTO;
    if (api::limits_set(soft, hard) != 0 || is_auto) {
      api::limits_get(nullptr, nullptr);
    } else {
      size_t soft_now = 1;
      size_t hard_now = 1;
      api::limits_get(&soft_now, &hard_now);
      require(soft_now == soft && hard_now == hard);
    }
    api::limits_set(0, 0);
  }

  static void figures(Input& input) {
    char buffer[600];
    memset(buffer, 0x5a, sizeof buffer);
    const size_t given = input.byte();
    const auto format = static_cast<tide_stats_format>(TIDE_STATS_TEXT + input.byte() % 3);
    const size_t whole = api::stats_into_buffer(format, buffer, given);
    require(whole > given || memchr(buffer, 0, given) != nullptr);
    for (size_t i = given; i < sizeof buffer; ++i) require(buffer[i] == 0x5a);
    api::stats_into_buffer(format, nullptr, 0);

    tide_stats stats;
    memset(&stats, 0x5a, sizeof stats);
    const size_t size = input.byte() % (sizeof stats + 1);
    const int error = api::stats_get(&stats, size);
    require((error != 0) == (size < 2 * sizeof(uint32_t)));
    const auto* const bytes = reinterpret_cast<const char*>(&stats);
    for (size_t i = size; i < sizeof stats; ++i) require(bytes[i] == 0x5a);

    tide_class_stats classes[4];
    require(api::class_stats_get(classes, input.byte() % 5) > 4);
    api::class_stats_get(nullptr, 0);
    tide_thread_stats threads[4];
    api::thread_stats_get(threads, input.byte() % 5);
    api::thread_stats_get(nullptr, 0);
  }

  // Names and values as they come, and of real options into any buffer.
  static void option(Input& input) {
    char text[40];
    const size_t length = input.byte() % sizeof text;
    for (size_t i = 0; i < length; ++i) text[i] = static_cast<char>(input.byte());
    text[length < sizeof text ? length : sizeof text - 1] = 0;
    char value[64];
    api::option_get(text, value, sizeof value);
    api::option_get("limit_hard", value, input.byte() % sizeof value);
    api::option_get("limit_hard", nullptr, 0);
    // The engine runs already.
    const int error = api::option_set("harden", text);
    require(error == EPERM || error == EINVAL);
  }

  void create_and_destroy(Input& input) {
    api::heap_destroy(nullptr);
    const size_t limit = input.hostile_size();
    tide_heap_t* const made = api::heap_create(limit);
    if (made == nullptr) return require(errno == ENOMEM);
    const size_t in_force = api::heap_stats(made).limit_bytes;
    require(in_force == limit || (limit > PTRDIFF_MAX && in_force == 0));
    size_ = size(input);
    void* const p = api::heap_allocate(made, 16, size_);
    if (p != nullptr) {
      require(api::heap_of(p) == made);
      require(limit == 0 || api::usable_size(p) <= limit);
    }
    api::heap_set_limit(made, input.hostile_size());
    api::heap_set_soft_limit(made, input.hostile_size());
    api::heap_destroy(made);
  }

  static int count_block(const tide_block* block, void* left) {
    require(block->address != nullptr && block->usable_bytes != 0);
    return --*static_cast<int*>(left) != 0;
  }
  static void visit(Input& input) {
    int left = input.byte() + 1;
    api::heap_walk(count_block, &left);
    require(left >= 0);
  }

  LiveBlocks blocks_;
  tide_heap_t* heaps_[2];
  size_t size_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  Entries entries;
  while (!input.is_empty()) entries.run(input);
  return 0;
}
