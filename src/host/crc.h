// The checksum of our files: CRC-32 as zlib has it.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>

namespace tide::host {

inline uint32_t crc_of(const void* data, size_t bytes) {
  return static_cast<uint32_t>(
      crc32(0, static_cast<const uint8_t*>(data), static_cast<uInt>(bytes)));
}

}  // namespace tide::host
