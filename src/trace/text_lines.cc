#include "trace/text_lines.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "host/error.h"

namespace tide::trace {
namespace {

constexpr size_t kInput = 256 << 10;
constexpr size_t kOutput = 1 << 20;
constexpr size_t kLongestLine = 16 << 20;

}  // namespace

// Bytes of the file on their way to text.
struct TextLines::Unpacker {
  enum class Kind { kNone, kZstd, kGzip };

  std::vector<char> input = std::vector<char>(kInput);
  size_t at = 0;
  size_t end = 0;
  Kind kind = Kind::kNone;
  ZSTD_DCtx* zstd = nullptr;
  z_stream gzip{};

  void start() {
    const std::string_view first(input.data(), std::min<size_t>(end, 4));
    if (first == "\x28\xb5\x2f\xfd") {
      kind = Kind::kZstd;
      zstd = ZSTD_createDCtx();
    } else if (first.starts_with("\x1f\x8b")) {
      kind = Kind::kGzip;
      inflateInit2(&gzip, 15 + 16);
    }
  }
  ~Unpacker() {
    if (zstd != nullptr) ZSTD_freeDCtx(zstd);
    if (kind == Kind::kGzip) inflateEnd(&gzip);
  }

  // Bytes written to `to`; what is wrong, or nothing.
  const char* unpack(char* to, size_t room, size_t* written) {
    if (kind == Kind::kNone) {
      *written = std::min(room, end - at);
      memcpy(to, input.data() + at, *written);
      at += *written;
      return nullptr;
    }
    if (kind == Kind::kZstd) {
      ZSTD_inBuffer from{input.data(), end, at};
      ZSTD_outBuffer out{to, room, 0};
      const size_t result = ZSTD_decompressStream(zstd, &out, &from);
      at = from.pos;
      *written = out.pos;
      return ZSTD_isError(result) != 0 ? ZSTD_getErrorName(result) : nullptr;
    }
    gzip.next_in = reinterpret_cast<Bytef*>(input.data() + at);
    gzip.avail_in = static_cast<uInt>(end - at);
    gzip.next_out = reinterpret_cast<Bytef*>(to);
    gzip.avail_out = static_cast<uInt>(room);
    const int result = inflate(&gzip, Z_NO_FLUSH);
    at = end - gzip.avail_in;
    *written = room - gzip.avail_out;
    if (result == Z_STREAM_END) {
      inflateReset(&gzip);  // there may be another member
      return nullptr;
    }
    return result == Z_OK || result == Z_BUF_ERROR ? nullptr : "the gzip data is damaged";
  }
};

TextLines::TextLines(const std::string& path)
    : path_(path),
      file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)),
      buffer_(kOutput),
      unpacker_(std::make_unique<Unpacker>()) {
  struct stat status {};
  if (file_.get() < 0 || fstat(file_.get(), &status) != 0) {
    throw host::Error(fmt::format("'{}' cannot be opened: {}", path, std::strerror(errno)));
  }
  bytes_ = static_cast<uint64_t>(status.st_size);
}

TextLines::~TextLines() = default;

double TextLines::progress() const {
  return bytes_ == 0 ? 0 : static_cast<double>(read_) / static_cast<double>(bytes_);
}

void TextLines::fail(const std::string& what) const {
  throw host::Error(fmt::format("'{}' is damaged at line {}: {}", path_, number_, what));
}

// More text behind what is left of the line. False: there is none.
bool TextLines::fill() {
  if (at_ > 0) {
    memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
    end_ -= at_;
    at_ = 0;
  }
  if (end_ == buffer_.size()) {
    if (buffer_.size() >= kLongestLine) fail("the line does not end");
    buffer_.resize(buffer_.size() * 2);
  }
  for (;;) {
    if (unpacker_->at == unpacker_->end) {
      ssize_t got;
      do {
        got = ::read(file_.get(), unpacker_->input.data(), unpacker_->input.size());
      } while (got < 0 && errno == EINTR);
      if (got < 0) {
        throw host::Error(fmt::format("cannot read '{}': {}", path_, std::strerror(errno)));
      }
      unpacker_->at = 0;
      unpacker_->end = static_cast<size_t>(got);
      if (read_ == 0) unpacker_->start();
      read_ += static_cast<uint64_t>(got);
      if (got == 0) return false;
    }
    size_t written = 0;
    const char* const error =
        unpacker_->unpack(buffer_.data() + end_, buffer_.size() - end_, &written);
    if (error != nullptr) fail(error);
    end_ += written;
    if (written > 0) return true;
  }
}

bool TextLines::next(std::string_view& line) {
  size_t searched = 0;
  for (;;) {
    const char* const begin = buffer_.data() + at_;
    const void* const found = memchr(begin + searched, '\n', end_ - at_ - searched);
    if (found != nullptr) {
      const auto length = static_cast<size_t>(static_cast<const char*>(found) - begin);
      line = {begin, length};
      at_ += length + 1;
      ++number_;
      return true;
    }
    searched = end_ - at_;
    if (fill()) continue;
    if (at_ == end_) return false;
    line = {buffer_.data() + at_, end_ - at_};  // the last one may lack its end
    at_ = end_;
    ++number_;
    return true;
  }
}

}  // namespace tide::trace
