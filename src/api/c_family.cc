#include "api/c_family.h"

#include <malloc.h>
#include <bit>

#include "api/report.h"
#include "base/align.h"
#include "layout/size_classes.h"
#include "sys/process.h"
#include "sys/report.h"

namespace tide::api {

namespace {

constexpr int kStandardError = 2;

size_t page_bytes() { return engine().space().vm.page_size(); }

}  // namespace

void* out_of_memory_error() {
  errno = ENOMEM;
  return nullptr;
}

void* resize_array(void* p, size_t count, size_t bytes) {
  size_t total = 0;
  // No block is as long as that, and whether `p` is one is looked at all the same.
  if (__builtin_mul_overflow(count, bytes, &total)) total = SIZE_MAX;
  return resize(p, total);
}

void* allocate_c11_aligned(size_t alignment, size_t bytes) {
  if (!base::is_power_of_two(alignment)) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_aligned(alignment, bytes);
}

int allocate_posix_aligned(void** result, size_t alignment, size_t bytes) {
  if (!base::is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  // POSIX leaves errno open; the C library sets it when it fails, and only then.
  void* const block = allocate_aligned(alignment, bytes);
  if (block == nullptr) return ENOMEM;
  *result = block;
  return 0;
}

void* allocate_memalign(size_t alignment, size_t bytes) {
  constexpr size_t kLargestPower = SIZE_MAX / 2 + 1;
  if (alignment > kLargestPower) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_aligned(std::bit_ceil(alignment), bytes);
}

void* allocate_on_page(size_t bytes) { return allocate_aligned(page_bytes(), bytes); }

void* allocate_whole_pages(size_t bytes) {
  const size_t page = page_bytes();
  const size_t rounded = base::align_up(bytes == 0 ? 1 : bytes, page);
  if (rounded < bytes) return out_of_memory_error();
  return allocate_aligned(page, rounded);
}

void wrong_size(const void* p, size_t bytes) {
  base::TextBuffer<160> line;
  line.text("sized free of ").hex(base::address_of(p)).text(" with ").decimal(bytes);
  line.text(" bytes, but the block has ").decimal(usable_size(p));
  sys::fatal(line.view());
}

int trim(size_t /*pad*/) {
  engine();
  return purge() != 0 ? 1 : 0;
}

int set_mallopt(int parameter, int value) {
  // From the C library's manual: "The upper limit is 80*sizeof(size_t)/4".
  constexpr int kLargestFastBin = static_cast<int>(80 * sizeof(size_t) / 4);
  switch (parameter) {
    case M_MXFAST:
      return value >= 0 && value <= kLargestFastBin ? 1 : 0;
    case M_NLBLKS:
    case M_GRAIN:
    case M_KEEP:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
      return 1;
    default:
      return 0;
  }
}

int print_malloc_info(int flags, FILE* stream) {
  if (flags != 0) {
    errno = EINVAL;
    return EINVAL;
  }
  struct Output {
    FILE* stream;
    bool failed;
  } output{stream, false};
  {
    ReportWriter out(
        [](void* argument, std::string_view piece) {
          auto& to = *static_cast<Output*>(argument);
          if (fwrite(piece.data(), 1, piece.size(), to.stream) != piece.size()) to.failed = true;
        },
        &output);
    write_malloc_info(out);
  }
  return output.failed ? -1 : 0;
}

void print_malloc_stats() {
  ReportWriter out(
      [](void*, std::string_view piece) {
        // Nothing is left to do about a stderr that can't be written to.
        [[maybe_unused]] const bool written = sys::write_all(kStandardError, piece);
      },
      nullptr);
  write_malloc_stats(out);
}

size_t good_size(size_t bytes) {
  if (const uint32_t c = layout::class_of(bytes)) return layout::class_bytes(c);
  using Spans = heap::SpanCache<sys::LinuxVm>;
  if (Spans::has_length(bytes)) return Spans::rounded(bytes);
  if (bytes > static_cast<size_t>(PTRDIFF_MAX)) return 0;
  const size_t page = page_bytes();
  return base::align_up(bytes, page > layout::kSpanPageBytes ? page : layout::kSpanPageBytes);
}

}  // namespace tide::api
