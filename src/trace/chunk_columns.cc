#include "trace/chunk_columns.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "host/error.h"

namespace tide::trace {
namespace {

// More costs much time and saves little: what the model in front of it leaves is near to noise.
constexpr int kLevel = 1;
// Shorter columns aren't worth a frame.
constexpr size_t kLeastToPack = 32;

struct TableRow {
  uint32_t plain_bytes;
  uint32_t stored_bytes;
};
using Table = std::array<TableRow, kColumns>;

}  // namespace

void ColumnWriter::grow(size_t bytes) {
  bytes_.resize(std::max<size_t>({bytes_.size() * 2, at_ + bytes, 4096}));
}

void ColumnWriter::long_number(uint64_t value) {
  while (value >= 0x80) {
    byte(value | 0x80);
    value >>= 7;
  }
  byte(value);
}

void ColumnWriter::text(const char* data, size_t size) {
  if (size == 0) return;
  if (bytes_.size() - at_ < size) grow(size);
  memcpy(bytes_.data() + at_, data, size);
  at_ += size;
}

void ColumnReader::fail() { throw host::Error("a column of the chunk is too short"); }

[[gnu::noinline]] uint64_t ColumnReader::long_number() {
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const uint8_t next = byte();
    result |= uint64_t{next & 0x7fu} << shift;
    if (next < 0x80) return result;
  }
  throw host::Error("a number in the chunk is too long");
}

const char* ColumnReader::text(uint64_t size) {
  if (size > static_cast<size_t>(end_ - at_)) fail();
  const char* const result = reinterpret_cast<const char*>(at_);
  at_ += size;
  return result;
}

struct ColumnPacker::Context {
  ZSTD_CCtx* zstd = ZSTD_createCCtx();
  std::vector<uint8_t> room;
  ~Context() { ZSTD_freeCCtx(zstd); }
};

ColumnPacker::ColumnPacker() : context_(std::make_unique<Context>()) {
  if (context_->zstd == nullptr) throw std::bad_alloc();
}
ColumnPacker::~ColumnPacker() = default;

uint64_t ColumnPacker::pack(const std::array<ColumnWriter, kColumns>& columns,
                            std::vector<uint8_t>& stored) {
  Table table;
  const size_t start = stored.size();
  size_t most = sizeof table;
  for (const ColumnWriter& column : columns) most += ZSTD_compressBound(column.bytes().size());
  stored.resize(start + most);
  uint8_t* at = stored.data() + start + sizeof table;
  uint64_t sum = 0;
  for (size_t i = 0; i < kColumns; ++i) {
    const std::span<const uint8_t> plain = columns[i].bytes();
    sum += plain.size();
    size_t bytes = plain.size();
    if (bytes >= kLeastToPack) {
      bytes = ZSTD_compressCCtx(context_->zstd, at, ZSTD_compressBound(bytes), plain.data(), bytes,
                                kLevel);
      if (ZSTD_isError(bytes) != 0 || bytes > plain.size()) bytes = plain.size();
    }
    if (bytes == plain.size() && bytes != 0) memcpy(at, plain.data(), bytes);
    table[i] = {static_cast<uint32_t>(plain.size()), static_cast<uint32_t>(bytes)};
    at += bytes;
  }
  memcpy(stored.data() + start, &table, sizeof table);
  stored.resize(static_cast<size_t>(at - stored.data()));
  return sum;
}

size_t ColumnPacker::packed_bytes(const ColumnWriter& column, size_t most) {
  const std::span<const uint8_t> plain =
      column.bytes().first(std::min(most, column.bytes().size()));
  std::vector<uint8_t>& room = context_->room;
  room.resize(ZSTD_compressBound(plain.size()));
  const size_t bytes = ZSTD_compressCCtx(context_->zstd, room.data(), room.size(), plain.data(),
                                         plain.size(), kLevel);
  return std::min(bytes, plain.size());  // also of an error
}

struct ColumnUnpacker::Context {
  ZSTD_DCtx* zstd = ZSTD_createDCtx();
  std::vector<uint8_t> plain;
  ~Context() { ZSTD_freeDCtx(zstd); }
};

ColumnUnpacker::ColumnUnpacker() : context_(std::make_unique<Context>()) {
  if (context_->zstd == nullptr) throw std::bad_alloc();
}
ColumnUnpacker::~ColumnUnpacker() = default;

void ColumnUnpacker::unpack(std::span<const uint8_t> stored, uint64_t plain_bytes, size_t count,
                            std::array<ColumnReader, kColumns>& columns) {
  Table table{};
  const size_t table_bytes = count * sizeof(TableRow);
  if (stored.size() < table_bytes) throw host::Error("the chunk is shorter than its table");
  memcpy(&table, stored.data(), table_bytes);
  uint64_t plain_sum = 0, stored_sum = table_bytes;
  for (const TableRow& row : table) {
    plain_sum += row.plain_bytes;
    stored_sum += row.stored_bytes;
  }
  if (stored_sum != stored.size() || plain_sum != plain_bytes) {
    throw host::Error("the columns of the chunk are not as long as its head says");
  }
  std::vector<uint8_t>& plain = context_->plain;
  if (plain.size() < plain_sum) plain.resize(plain_sum);
  const uint8_t* from = stored.data() + table_bytes;
  uint8_t* to = plain.data();
  for (size_t i = 0; i < kColumns; ++i) {
    const TableRow& row = table[i];
    if (row.plain_bytes == row.stored_bytes) {
      if (row.plain_bytes != 0) memcpy(to, from, row.plain_bytes);
    } else if (ZSTD_decompressDCtx(context_->zstd, to, row.plain_bytes, from, row.stored_bytes) !=
               row.plain_bytes) {
      throw host::Error(fmt::format("column {} of the chunk can't be decompressed", i));
    }
    columns[i] = ColumnReader({to, row.plain_bytes});
    from += row.stored_bytes;
    to += row.plain_bytes;
  }
}

}  // namespace tide::trace
