#include "fleet/batch.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <zstd.h>

#include <cstring>
#include <stdexcept>

#include "host/crc.h"
#include "host/error.h"

namespace tide::fleet {
namespace {

constexpr char kMagic[8] = {'t', 'i', 'd', 'e', 'b', 't', 'c', '1'};
constexpr int kLevel = 1;  // its tables are small, and so is the agent
constexpr uint64_t kMostBytes = uint64_t{4} << 30;

// In front of the compressed content.
struct FileHead {
  char magic[8];
  uint64_t bytes;  // when it is unpacked
  uint32_t crc;    // of the compressed content
  uint32_t schema;
};

class Packer {
 public:
  void number(uint64_t value) { raw(&value, sizeof value); }
  void text(std::string_view value) {
    number(value.size());
    out_.append(value);
  }
  void raw(const void* data, size_t bytes) { out_.append(static_cast<const char*>(data), bytes); }
  const std::string& bytes() const { return out_; }

 private:
  std::string out_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view in) : in_(in) {}
  uint64_t number() {
    uint64_t value;
    raw(&value, sizeof value);
    return value;
  }
  // A count of things that take at least so many bytes each.
  size_t count(size_t bytes_each) {
    const uint64_t value = number();
    if (value > in_.size() / bytes_each) fail();
    return static_cast<size_t>(value);
  }
  std::string text() {
    const size_t length = count(1);
    std::string value(in_.substr(0, length));
    in_.remove_prefix(length);
    return value;
  }
  void raw(void* to, size_t bytes) {
    if (in_.size() < bytes) fail();
    if (bytes != 0) std::memcpy(to, in_.data(), bytes);
    in_.remove_prefix(bytes);
  }
  bool at_end() const { return in_.empty(); }
  [[noreturn]] static void fail() { throw host::Error("its content does not fit together"); }

 private:
  std::string_view in_;
};

void unpack_rows(Unpacker& in, Batch& batch) {
  const size_t found = find_table(in.text());
  const size_t columns = in.count(1);
  if (found == SIZE_MAX || columns != tables()[found].columns.size()) Unpacker::fail();
  const size_t before = batch.tables.size();
  Rows& rows = batch.rows(static_cast<TableId>(found));
  if (batch.tables.size() == before) Unpacker::fail();  // a table is in it once
  const size_t count = in.count(columns * 8);
  for (size_t i = 0; i < columns; ++i) {
    if (rows.table().columns[i].type == Type::kText) {
      for (size_t row = 0; row < count; ++row) rows.texts(i).push_back(in.text());
    } else {
      rows.numbers(i).resize(count);
      in.raw(rows.numbers(i).data(), count * sizeof(int64_t));
    }
  }
  rows.set_size(count);
}

}  // namespace

Rows::Rows(TableId id) : id_(id), columns_(fleet::table(id).columns.size()) {}

void Rows::put(size_t i, const Cell& cell) {
  if (table().columns[i].type == Type::kText) {
    columns_[i].texts.push_back(std::get<std::string>(cell));
  } else {
    columns_[i].numbers.push_back(std::get<int64_t>(cell));
  }
}

void Rows::add(std::initializer_list<Cell> cells) { add(std::vector<Cell>(cells)); }

void Rows::add(std::vector<Cell>&& cells) {
  if (cells.size() != columns_.size()) {
    throw std::logic_error(fmt::format("{} cells for {}, which has {} columns", cells.size(),
                                       table().name, columns_.size()));
  }
  for (size_t i = 0; i < cells.size(); ++i) put(i, cells[i]);
  ++count_;
}

void Rows::set_size(size_t count) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const bool is_text = table().columns[i].type == Type::kText;
    if ((is_text ? columns_[i].texts.size() : columns_[i].numbers.size()) != count) {
      throw std::logic_error(fmt::format("column {} of {} is not full", i, table().name));
    }
  }
  count_ = count;
}

Rows& Batch::rows(TableId wanted) {
  for (Rows& rows : tables) {
    if (rows.id() == wanted) return rows;
  }
  return tables.emplace_back(wanted);
}

bool Batch::empty() const {
  for (const Rows& rows : tables) {
    if (rows.size() != 0) return false;
  }
  return true;
}

std::string new_batch_id() {
  uint64_t words[2];
  if (getrandom(words, sizeof words, 0) != sizeof words) {
    throw host::Error("the system gives no random numbers");
  }
  return fmt::format("{:016x}{:016x}", words[0], words[1]);
}

int64_t number_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  // FNV-1a alone changes high bits too little at the end of a text.
  hash ^= hash >> 32;
  hash *= 0x9e3779b97f4a7c15;
  hash ^= hash >> 29;
  return static_cast<int64_t>(hash >> 1);
}

std::string encode(const Batch& batch) {
  Packer out;
  out.text(batch.id);
  out.text(batch.host);
  out.number(batch.tables.size());
  for (const Rows& rows : batch.tables) {
    out.text(rows.table().name);
    out.number(rows.table().columns.size());
    out.number(rows.size());
    for (size_t i = 0; i < rows.table().columns.size(); ++i) {
      const Rows::Values& values = rows.column(i);
      if (rows.table().columns[i].type == Type::kText) {
        for (const std::string& text : values.texts) out.text(text);
      } else {
        out.raw(values.numbers.data(), values.numbers.size() * sizeof(int64_t));
      }
    }
  }
  std::string packed(sizeof(FileHead) + ZSTD_compressBound(out.bytes().size()), '\0');
  const size_t bytes =
      ZSTD_compress(packed.data() + sizeof(FileHead), packed.size() - sizeof(FileHead),
                    out.bytes().data(), out.bytes().size(), kLevel);
  if (ZSTD_isError(bytes) != 0) throw host::Error(ZSTD_getErrorName(bytes));
  packed.resize(sizeof(FileHead) + bytes);
  FileHead head{};
  std::memcpy(head.magic, kMagic, sizeof kMagic);
  head.bytes = out.bytes().size();
  head.crc = host::crc_of(packed.data() + sizeof head, bytes);
  head.schema = kSchemaVersion;
  std::memcpy(packed.data(), &head, sizeof head);
  return packed;
}

Batch decode(std::string_view content) {
  FileHead head;
  if (content.size() < sizeof head || std::memcmp(content.data(), kMagic, sizeof kMagic) != 0) {
    throw host::Error("it is no batch of tide agent");
  }
  std::memcpy(&head, content.data(), sizeof head);
  content.remove_prefix(sizeof head);
  if (head.schema != kSchemaVersion) {
    throw host::Error(fmt::format("it is of schema version {}, this tide knows version {}",
                                  head.schema, kSchemaVersion));
  }
  if (head.crc != host::crc_of(content.data(), content.size()) || head.bytes > kMostBytes) {
    throw host::Error("it is damaged: its checksum is wrong");
  }
  // The checksum is not of the head: that says how much is taken for it.
  if (head.bytes != ZSTD_getFrameContentSize(content.data(), content.size())) Unpacker::fail();
  std::string plain(head.bytes, '\0');
  const size_t bytes = ZSTD_decompress(plain.data(), plain.size(), content.data(), content.size());
  if (ZSTD_isError(bytes) != 0 || bytes != plain.size()) Unpacker::fail();
  Unpacker in(plain);
  Batch batch;
  batch.id = in.text();
  batch.host = in.text();
  for (size_t left = in.count(1); left != 0; --left) unpack_rows(in, batch);
  if (!in.at_end()) Unpacker::fail();
  return batch;
}

}  // namespace tide::fleet
