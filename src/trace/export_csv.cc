#include "trace/export_csv.h"

#include <fmt/format.h>

namespace tide::trace {

CsvExporter::CsvExporter(const std::string& path) : file_(path) {
  file_.write(
      "time_ns,thread,tid,call,pointer,old_pointer,size,usable,extra1,extra2,extra3,extra4,stack,"
      "text,path,gone\n");
}

void CsvExporter::number(uint64_t value) {
  const fmt::format_int digits(value);
  row_.append(digits.data(), digits.size());
  row_ += ',';
}

void CsvExporter::address(uint64_t value) {
  char digits[16];
  size_t first = sizeof digits;
  for (; value != 0; value >>= 4) digits[--first] = "0123456789abcdef"[value & 15];
  if (first != sizeof digits) {
    row_ += "0x";
    row_.append(digits + first, sizeof digits - first);
  } else {
    row_ += '0';
  }
  row_ += ',';
}

void CsvExporter::text(std::string_view value) {
  if (value.empty()) return;
  row_ += '"';
  for (const char c : value) {
    if (c == '"') row_ += '"';
    row_ += c;
  }
  row_ += '"';
}

void CsvExporter::add(const Event& event) {
  Call call = event.call;
  switch (call) {
    case Call::kRealloc:
    case Call::kReallocarray:
      began_[event.thread] = call;
      return;
    case Call::kNone:
    case Call::kMremap:
      return;
    case Call::kReallocDone: {
      const auto began = began_.find(event.thread);
      call = began == began_.end() ? Call::kRealloc : began->second;
      break;
    }
    case Call::kMremapDone:
      call = Call::kMremap;
      break;
    default:
      break;
  }
  row_.clear();
  number(event.time_ns);
  number(event.thread);
  number(static_cast<uint64_t>(event.tid));
  row_ += format::call_name(call);
  row_ += ',';
  address(event.pointer);
  address(call != event.call ? event.old_pointer : 0);
  number(event.size);
  number(came(event) ? event.usable : 0);
  for (const uint64_t extra : event.extras) number(extra);
  number(event.stack);
  text(event.text);
  row_ += ',';
  if (came(event)) row_ += format::path_name(event.path);
  row_ += ',';
  // Of the block that went: with it the bytes live are a sum, and nobody needs a table of
  // addresses.
  const bool goes = event.gone.is_known && event.call != Call::kNote;
  row_ += fmt::format_int(goes ? event.gone.size : 0).c_str();
  row_ += '\n';
  file_.write(row_);
}

void CsvExporter::finish(const EventSource& /*source*/) { file_.close(); }

}  // namespace tide::trace
