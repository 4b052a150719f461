#include "fleet/native_block.h"

#include <vector>

namespace tide::fleet {
namespace {

void put_count(uint64_t value, std::string& out) {
  constexpr uint64_t kMore = 0x80;
  for (; value >= kMore; value >>= 7) out += static_cast<char>(value | kMore);
  out += static_cast<char>(value);
}

void put_text(std::string_view text, std::string& out) {
  put_count(text.size(), out);
  out += text;
}

template <class Narrow>
void put_numbers(const std::vector<int64_t>& numbers, std::string& out) {
  const size_t start = out.size();
  out.resize(start + numbers.size() * sizeof(Narrow));
  char* to = out.data() + start;
  for (const int64_t number : numbers) {
    const Narrow narrow = static_cast<Narrow>(number);
    __builtin_memcpy(to, &narrow, sizeof narrow);
    to += sizeof narrow;
  }
}

}  // namespace

std::string_view clickhouse_type(Type type) {
  switch (type) {
    case Type::kInt8:
      return "Int8";
    case Type::kInt32:
      return "Int32";
    case Type::kInt64:
      return "Int64";
    case Type::kText:
      break;
  }
  return "String";
}

std::string native_block(const Rows& rows, std::optional<int64_t> attempt) {
  const Table& table = rows.table();
  std::string out;
  put_count(table.columns.size() + (attempt ? 1 : 0), out);
  put_count(rows.size(), out);
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const Column& column = table.columns[i];
    put_text(column.name, out);
    put_text(clickhouse_type(column.type), out);
    switch (column.type) {
      case Type::kInt8:
        put_numbers<int8_t>(rows.column(i).numbers, out);
        break;
      case Type::kInt32:
        put_numbers<int32_t>(rows.column(i).numbers, out);
        break;
      case Type::kInt64:
        put_numbers<int64_t>(rows.column(i).numbers, out);
        break;
      case Type::kText:
        for (const std::string& text : rows.column(i).texts) put_text(text, out);
        break;
    }
  }
  if (attempt) {
    put_text("batch", out);
    put_text("Int64", out);
    put_numbers<int64_t>(std::vector<int64_t>(rows.size(), *attempt), out);
  }
  return out;
}

}  // namespace tide::fleet
