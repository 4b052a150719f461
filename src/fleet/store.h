// A database of the fleet. Two engines stand behind it; questions are asked in SQL that both
// understand, with what differs taken from Dialect.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fleet/batch.h"
#include "fleet/database_address.h"
#include "host/error.h"

namespace tide::fleet {

// The database is away, or busy: the same may work later.
class Unavailable : public host::Error {
 public:
  using Error::Error;
};

using ResultCell = std::variant<int64_t, double, std::string>;

struct Result {
  std::vector<std::string> columns;
  std::vector<std::vector<ResultCell>> rows;

  int64_t number(size_t row, size_t column) const;
  const std::string& text(size_t row, size_t column) const;
};

// What the two engines say differently.
class Dialect {
 public:
  virtual ~Dialect() = default;
  // Division of whole numbers, towards zero.
  virtual std::string quotient(std::string_view a, std::string_view b) const = 0;
  // `columns` are among the rows of a question. Of a cluster it is asked once, for all shards.
  virtual std::string among(std::string_view columns, std::string_view question) const = 0;
  // What stands behind FROM: the rows of a table for which `condition` holds.
  virtual std::string from(TableId table, std::string_view condition) const = 0;
  // A text in SQL.
  virtual std::string literal(std::string_view text) const = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  // Makes the tables where there are none. Throws host::Error for a database of another version.
  virtual void prepare() = 0;
  // Whether there are tables. Throws like prepare().
  virtual bool is_prepared() = 0;
  // Takes the batch, whole. False: it was there already. Throws Unavailable.
  virtual bool apply(const Batch& batch) = 0;
  virtual bool has(std::string_view batch_id) = 0;
  virtual Result query(const std::string& sql) = 0;
  // The same for what somebody has typed: refuses what would change the database.
  virtual Result ask_freely(const std::string& sql) = 0;
  // Removes facts from before that time, and traces. Returns how many rows went, as far as known.
  virtual void remove_before(int64_t time_ns) = 0;
  virtual const Dialect& dialect() const = 0;
};

// Throws host::Error: of what was typed only the first statement would be answered.
[[noreturn]] void refuse_second_question(std::string_view rest);

// `must_exist`: do not make a file. Throws host::Error, Unavailable.
std::unique_ptr<Store> open_store(const DatabaseAddress& address, bool must_exist);

}  // namespace tide::fleet
