// What is shipped: rows of some tables under an id. A database takes a batch once and whole,
// however often it is offered; on disk it is a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fleet/schema.h"

namespace tide::fleet {

using Cell = std::variant<int64_t, std::string>;

// Rows of one table, by column.
class Rows {
 public:
  struct Values {
    std::vector<int64_t> numbers;
    std::vector<std::string> texts;
  };

  explicit Rows(TableId id);

  const Table& table() const { return fleet::table(id_); }
  TableId id() const { return id_; }
  size_t size() const { return count_; }
  const Values& column(size_t i) const { return columns_[i]; }

  // A cell for each column, of the column's kind.
  void add(std::initializer_list<Cell> cells);
  void add(std::vector<Cell>&& cells);
  // For many rows: the caller fills all columns and says how many rows they have now.
  std::vector<int64_t>& numbers(size_t i) { return columns_[i].numbers; }
  std::vector<std::string>& texts(size_t i) { return columns_[i].texts; }
  void set_size(size_t count);

 private:
  void put(size_t i, const Cell& cell);

  TableId id_;
  std::vector<Values> columns_;
  size_t count_ = 0;
};

struct Batch {
  std::string id;
  std::string host;
  std::deque<Rows> tables;  // a reference to one stays good when others come

  // The rows of a table, made at first.
  Rows& rows(TableId wanted);
  bool empty() const;
};

// 32 hexadecimal digits that nobody else has.
std::string new_batch_id();
// A number for what is known by a text: the same everywhere, at least 0.
int64_t number_of(std::string_view text);

// The content of a file, compressed, with a checksum.
std::string encode(const Batch& batch);
// Throws host::Error when it is none, or damaged.
Batch decode(std::string_view content);

}  // namespace tide::fleet
