#include "trace/note_records.h"

#include "format/trace_record.h"

namespace tide::trace {

void NoteRecords::add(uint64_t tick, format::Note note, uint64_t number, uint64_t second,
                      std::string_view text) {
  if (empty()) first_tick_ = last_tick_ = tick;
  const size_t before = bytes_.size();
  bytes_.resize(before + format::kMostPlainRecord + text.size());
  format::RecordCursor cursor{bytes_.data() + before, last_tick_, 0};
  format::put_record(cursor, format::Call::kNote, tick, 0, 0, 0, 0);
  last_tick_ = cursor.last_tick;
  for (const uint64_t extra :
       {static_cast<uint64_t>(note), number, second, uint64_t{text.size()}}) {
    cursor.at = format::put_varint(cursor.at, extra);
  }
  bytes_.resize(static_cast<size_t>(cursor.at - bytes_.data()));
  bytes_.insert(bytes_.end(), text.begin(), text.end());
}

}  // namespace tide::trace
