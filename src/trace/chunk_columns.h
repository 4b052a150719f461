// The columns of a chunk: bytes of one kind each, compressed one by one, because what is alike
// packs well. Their order is that of the file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tide::trace {

// What stands in which is said in docs/formats.md.
enum Column : size_t {
  kHeads,
  kTimes,
  kTimesLow,
  kSizes,
  kSizesLow,
  kDepths,
  kSlots,
  kSlotsLow,
  kAddresses,
  kDetails,
  kNumbers,
  kTexts,
  kSlotsLong,
  kCodes,
};
inline constexpr size_t kColumns = kCodes + 1;

// See split(): numbers below these take one byte, and two; longer ones are announced.
inline constexpr uint64_t kOneByte = 192;
inline constexpr uint64_t kLong = 255;
inline constexpr uint64_t kTwoBytes = kOneByte + ((kLong - kOneByte) << 8);

// A column that is being written.
class ColumnWriter {
 public:
  void clear() { at_ = 0; }
  std::span<const uint8_t> bytes() const { return {bytes_.data(), at_}; }

  void byte(size_t value) {
    if (at_ == bytes_.size()) grow(1);
    bytes_[at_++] = static_cast<uint8_t>(value);
  }
  // As LEB128.
  void number(uint64_t value) {
    if (value < 0x80) return byte(value);
    long_number(value);
  }
  // A number that is mostly small: its low byte goes to another column if it isn't, and all of it
  // to `numbers` if it is large.
  void split(uint64_t value, ColumnWriter& low, ColumnWriter& numbers) {
    if (value < kOneByte) {
      byte(value);
    } else if (value < kTwoBytes) {
      byte(kOneByte + ((value - kOneByte) >> 8));
      low.byte(value - kOneByte);
    } else {
      byte(kLong);
      numbers.number(value);
    }
  }
  void text(const char* data, size_t size);

 private:
  void grow(size_t bytes);
  void long_number(uint64_t value);

  std::vector<uint8_t> bytes_;
  size_t at_ = 0;
};

// A column that is being read. What is asked for behind its end throws host::Error.
class ColumnReader {
 public:
  ColumnReader() = default;
  explicit ColumnReader(std::span<const uint8_t> bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool is_at_end() const { return at_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  uint8_t byte() {
    if (at_ == end_) fail();
    return *at_++;
  }
  uint64_t number() {
    if (at_ != end_ && *at_ < 0x80) return *at_++;
    return long_number();
  }
  // Whether that is the next byte, which then is read.
  bool skip(uint8_t value) {
    if (at_ == end_ || *at_ != value) return false;
    ++at_;
    return true;
  }
  uint64_t split(ColumnReader& low, ColumnReader& numbers) {
    const uint64_t first = byte();
    if (first < kOneByte) return first;
    if (first == kLong) return numbers.number();
    return kOneByte + ((first - kOneByte) << 8 | low.byte());
  }
  const char* text(uint64_t size);

 private:
  [[noreturn]] static void fail();
  uint64_t long_number();

  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
};

// Compresses columns and appends their table and themselves to `stored`. Returns the sum of their
// plain bytes.
class ColumnPacker {
 public:
  ColumnPacker();
  ~ColumnPacker();
  uint64_t pack(const std::array<ColumnWriter, kColumns>& columns, std::vector<uint8_t>& stored);
  // What so much of the column's beginning comes to, to compare.
  size_t packed_bytes(const ColumnWriter& column, size_t most);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// The other way; keeps the memory that the readers read.
class ColumnUnpacker {
 public:
  ColumnUnpacker();
  ~ColumnUnpacker();
  // Throws host::Error when `stored` is no such thing, or not one of `plain_bytes`. `count`: of the
  // columns in it; others are empty.
  void unpack(std::span<const uint8_t> stored, uint64_t plain_bytes, size_t count,
              std::array<ColumnReader, kColumns>& columns);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace tide::trace
