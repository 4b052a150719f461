#include "inspect/numbers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace tide::inspect {
namespace {

template <class T>
T value_at(Bytes bytes, size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
  return value;
}

// Of all values three in four, and at least one that is not 0.
template <class T, class Test>
bool most_are(Bytes bytes, Test test) {
  const size_t count = bytes.size() / sizeof(T);
  size_t fitting = 0;
  bool has_any = false;
  for (size_t i = 0; i < count; ++i) {
    const T value = value_at<T>(bytes, i);
    if (value != T{}) has_any = has_any || test(value);
    if (value == T{} || test(value)) ++fitting;
  }
  return has_any && fitting * 4 >= count * 3;
}

bool is_usual(double value) {
  const double size = std::fabs(value);
  return size >= 1e-9 && size <= 1e12;
}

}  // namespace

bool is_zeros(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

bool is_numbers(Bytes bytes) {
  if (bytes.size() < 8) return false;
  constexpr int32_t kSmall = 1 << 24;
  constexpr int64_t kSmallWide = int64_t{1} << 32;
  return most_are<int32_t>(bytes, [](int32_t v) { return v > -kSmall && v < kSmall; }) ||
         most_are<int64_t>(bytes, [](int64_t v) { return v > -kSmallWide && v < kSmallWide; }) ||
         most_are<double>(bytes, [](double v) { return is_usual(v); }) ||
         most_are<float>(bytes, [](float v) { return is_usual(double{v}); });
}

bool is_random(Bytes bytes) {
  constexpr size_t kFewest = 256;
  if (bytes.size() < kFewest) return false;
  std::array<uint32_t, 256> counts{};
  for (const std::byte byte : bytes) ++counts[static_cast<uint8_t>(byte)];
  const auto total = static_cast<double>(bytes.size());
  double bits = 0;
  for (const uint32_t count : counts) {
    if (count == 0) continue;
    const double share = count / total;
    bits -= share * std::log2(share);
  }
  // What n random bytes have on average falls short of 8 bits by about 255 / (2 n ln 2) for many,
  // by more for few; a little less is asked for.
  double expected = 8 - 255 / (2 * total * std::log(2.0));
  if (total < 1024) expected = total < 512 ? 7.17 : 7.58;
  return bits >= expected - (total < 512 ? 0.2 : 0.12);
}

std::string_view packed_format(Bytes bytes) {
  using namespace std::string_view_literals;
  struct Format {
    std::string_view magic;
    std::string_view name;
  };
  static constexpr Format kFormats[] = {
      {"\x1f\x8b\x08"sv, "gzip"},
      {"\x28\xb5\x2f\xfd"sv, "zstd"},
      {"\xfd\x37zXZ\0"sv, "xz"},
      {"\x04\x22\x4d\x18"sv, "LZ4"},
      {"BZh"sv, "bzip2"},
      {"PK\x03\x04"sv, "zip"},
      {"\x89PNG\r\n\x1a\n"sv, "PNG"},
      {"\xff\xd8\xff"sv, "JPEG"},
  };
  for (const Format& format : kFormats) {
    if (bytes.size() >= 64 &&
        std::memcmp(bytes.data(), format.magic.data(), format.magic.size()) == 0) {
      return format.name;
    }
  }
  return {};
}

}  // namespace tide::inspect
