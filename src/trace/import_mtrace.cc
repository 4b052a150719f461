// The 64-byte records of glibc's malloc tracing of 2016. There are no times in them: a record is
// taken to be 100 ns after the one before it.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unordered_map>

#include "host/error.h"
#include "trace/imported.h"

namespace tide::trace {
namespace {

struct MtraceRecord {
  int32_t tid;
  uint32_t type_path;  // 8 bits of type, 24 of the path through malloc
  uint64_t first;      // that goes
  uint64_t second;     // that comes
  uint64_t size;
  uint64_t extra;   // the alignment, or what was freed
  uint64_t usable;  // of the chunk that comes, with its header
  uint64_t padding[2];
};
static_assert(sizeof(MtraceRecord) == 64);

enum Type : uint32_t {
  kUnused = 0,
  kMalloc = 1,
  kCalloc = 2,
  kFree = 3,
  kRealloc = 4,
  kMemalign = 5,
  kValloc = 6,
  kPvalloc = 7,
  kPosixMemalign = 8,
  kStart = 255,
};

constexpr uint64_t kNsBetween = 100;
constexpr uint64_t kChunkHeader = 8;

class MtraceImporter : public Importer {
 public:
  explicit MtraceImporter(const std::string& path)
      : path_(path), file_(std::fopen(path.c_str(), "rbe")) {
    if (file_ == nullptr) {
      throw host::Error(fmt::format("'{}' cannot be opened: {}", path, std::strerror(errno)));
    }
    struct stat status {};
    if (fstat(fileno(file_), &status) == 0) bytes_ = static_cast<uint64_t>(status.st_size);
    std::setvbuf(file_, nullptr, _IOFBF, size_t{1} << 18);
  }
  ~MtraceImporter() override { std::fclose(file_); }

  double progress() const override {
    return static_cast<double>(offset_) / static_cast<double>(bytes_ + 1);
  }

  bool next(Event& event) override {
    if (has_result_) {
      has_result_ = false;
      event.call = Call::kReallocDone;
      event.pointer = record_.second;
      event.size = 0;
      // Merge adds this to the size of the first half.
      event.usable = slack(record_.size);
      return true;
    }
    for (;;) {
      const size_t got = std::fread(&record_, 1, sizeof record_, file_);
      if (got == 0) return false;
      if (got != sizeof record_) fail("the last record is cut off");
      const uint64_t type = record_.type_path & 0xff;
      offset_ += sizeof record_;
      if (type == kUnused || type == kStart) continue;
      fill(event, type);
      return true;
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw host::Error(fmt::format("'{}' is damaged at offset {}: {}", path_, offset_, what));
  }

  uint64_t slack(uint64_t size) const {
    const uint64_t usable = record_.usable > kChunkHeader ? record_.usable - kChunkHeader : 0;
    return usable > size ? usable - size : 0;
  }

  void fill(Event& event, uint64_t type) {
    const auto [thread, is_new] =
        threads_.try_emplace(record_.tid, static_cast<uint32_t>(threads_.size() + 1));
    event.thread = thread->second;
    event.tid = record_.tid;
    event.time_ns = time_ns_ += kNsBetween;
    event.pointer = record_.second;
    event.size = record_.size;
    event.usable = record_.size + slack(record_.size);
    event.extras[0] = event.extras[1] = 0;
    switch (type) {
      case kMalloc:
        event.call = Call::kMalloc;
        break;
      case kCalloc:
        event.call = Call::kCalloc;
        event.extras[0] = 1;  // the product is all there is
        break;
      case kFree:
        event.call = Call::kFree;
        event.pointer = record_.first;
        event.size = 0;
        break;
      case kRealloc:
        event.call = Call::kRealloc;
        event.pointer = record_.first;
        has_result_ = true;
        break;
      case kMemalign:
        event.call = Call::kMemalign;
        event.extras[0] = record_.extra;
        break;
      case kValloc:
        event.call = Call::kValloc;
        break;
      case kPvalloc:
        event.call = Call::kPvalloc;
        break;
      case kPosixMemalign:
        event.call = Call::kPosixMemalign;
        event.extras[0] = record_.extra;
        event.extras[1] = record_.first;
        break;
      default:
        offset_ -= sizeof record_;
        fail(fmt::format("there is no record of type {}", type));
    }
  }

  std::string path_;
  std::FILE* file_;
  uint64_t bytes_ = 0;
  uint64_t offset_ = 0;
  uint64_t time_ns_ = 0;
  MtraceRecord record_{};
  bool has_result_ = false;
  std::unordered_map<int32_t, uint32_t> threads_;
};

}  // namespace

std::unique_ptr<Importer> import_mtrace(const std::string& path, ImportContext& context) {
  context.process.program = path;
  return std::make_unique<MtraceImporter>(path);
}

}  // namespace tide::trace
