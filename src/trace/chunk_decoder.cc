#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "host/error.h"
#include "trace/chunk_codec.h"
#include "trace/chunk_columns.h"
#include "trace/chunk_model.h"
#include "trace/code_pairs.h"
#include "trace/known_slots.h"

namespace tide::trace {

using format::Call;
using format::Record;

namespace {

// The first in which a block that comes with another slack says no size.
constexpr uint32_t kSlackAloneCodec = 3;

}  // namespace

// Each function undoes what that of the same name in chunk_encoder.cc does.
struct ChunkDecoder::State {
  ChunkModel model;
  std::array<ColumnReader, kColumns> columns;
  ColumnUnpacker unpacker;
  KnownSlots known;
  CodePairReader codes;
  bool are_codes_apart = false;
  uint32_t codec = 0;
  uint64_t last_tick = 0;
  uint32_t left = 0;

  void read(Record& record) {
    const Head head = take_head();
    read(record, head);
  }
  void read(RecordRun& run);
  bool is_at_end() const;
  void expect_end() const;

 private:
  struct Head {
    Call call;
    unsigned code;
    unsigned deviations;
    bool differs(Deviation deviation) const { return (deviations & deviation) != 0; }
  };
  Head take_head();
  void read(Record& record, Head head);
  // Of a call without extras whose pointer is that of a block which comes, or goes.
  void read_plain(PlainRecord& record, Head head, bool comes);
  void read_whole(RecordRun& run, Head head);
  uint64_t take_tick() {
    return last_tick += columns[kTimes].split(columns[kTimesLow], columns[kNumbers]);
  }

  uint64_t number() { return columns[kNumbers].number(); }
  // Of a Record or a PlainRecord.
  template <class Any>
  void detail(Any& record, bool differs);
  template <class Any>
  void has_size(Any& record, bool differs);
  template <class Any>
  uint32_t request(Any& record);
  template <class Any>
  void sizes(Any& record, uint64_t size_guess, uint64_t slack_guess, bool differs);
  template <class Any>
  void slack(Any& record, uint32_t request, bool differs);
  // Of a block that comes.
  unsigned code(unsigned in_head) {
    return are_codes_apart ? codes.next(columns[kCodes]) : in_head;
  }
  uint64_t distance(uint64_t from) { return from + unfold(columns[kAddresses].number()); }
  uint32_t slot();
  uint32_t steps(uint32_t from);
  uint32_t which(unsigned code);
  uint32_t come(unsigned code, uint32_t request, uint64_t usable);
  void finish(unsigned code, Record& record);
  void other(unsigned code, Record& record);
  void extras(Record& record) {
    for (size_t i = 0; i < extras_of(record.call); ++i) record.extras[i] = number();
  }
  void extras(PlainRecord& /*record*/) {}
  static ChunkModel::Request request_of(const Record& record) {
    return {record.size, {record.extras[0], record.extras[1]}, 0};
  }
  static ChunkModel::Request request_of(const PlainRecord& record) { return {record.size, {}, 0}; }
  static void take_extras(Record& record, const ChunkModel::Request& seen) {
    for (size_t i = 0; i < extras_of(record.call); ++i) record.extras[i] = seen.extras[i];
  }
  static void take_extras(PlainRecord& /*record*/, const ChunkModel::Request& /*seen*/) {}

  // A slot that is none: the model of the encoder was another one.
  [[noreturn]] static void fail() { throw host::Error("the chunk names a block that it has not"); }
  uint32_t existing(uint64_t index) const {
    if (index >= model.slots()) fail();
    return static_cast<uint32_t>(index);
  }
  uint64_t pointer_of(uint32_t index) { return index == kNoSlot ? 0 : model.slot(index).pointer; }
};

template <class Any>
void ChunkDecoder::State::detail(Any& record, bool differs) {
  bool& has = model.has_detail(record.call);
  has = has != differs;
  if (!has) return;
  uint64_t& guess = model.next_detail();
  const uint64_t given = columns[kDetails].number();
  const uint64_t detail = given == 0 ? guess : given;
  model.detailed(guess, detail);
  record.stack = detail >> 3;
  record.path = static_cast<format::Path>(detail & 7);
}

template <class Any>
void ChunkDecoder::State::has_size(Any& record, bool differs) {
  if (record.call != Call::kDelete && record.call != Call::kDeleteArray) return;
  bool& has = model.has_size(record.call);
  has = has != differs;
  record.has_size = has;
}

template <class Any>
void ChunkDecoder::State::sizes(Any& record, uint64_t size_guess, uint64_t slack_guess,
                                bool differs) {
  record.size = differs ? number() : size_guess;
  record.usable = record.size + (differs ? number() : slack_guess);
}

template <class Any>
void ChunkDecoder::State::slack(Any& record, uint32_t request, bool differs) {
  uint64_t& had = model.request(request).slack;
  if (differs) {
    if (codec < kSlackAloneCodec) record.size = number();
    had = number();
  }
  record.usable = record.size + had;
}

template <class Any>
uint32_t ChunkDecoder::State::request(Any& record) {
  uint32_t& guess = model.guess(record.stack << 3 | static_cast<uint64_t>(record.path));
  uint64_t found;
  if (columns[kSizes].skip(kLong)) {
    record.size = number();
    extras(record);
    found = model.add_request(request_of(record));
  } else {
    found = columns[kSizes].split(columns[kSizesLow], columns[kNumbers]);
    if (found == 0) found = guess;
    if (found >= model.requests()) throw host::Error("the chunk names a size that it has not");
    const ChunkModel::Request& seen = model.request(static_cast<uint32_t>(found));
    record.size = seen.size;
    take_extras(record, seen);
  }
  model.requested(guess, static_cast<uint32_t>(found));
  return static_cast<uint32_t>(found);
}

uint32_t ChunkDecoder::State::slot() {
  if (codec != format::kFirstCodec) return existing(known.next(model));
  const uint64_t difference = columns[kSlots].split(columns[kSlotsLow], columns[kNumbers]);
  return existing(model.last_slot() + format::unzigzag(difference));
}

uint32_t ChunkDecoder::State::steps(uint32_t from) {
  for (uint32_t left_to_go = columns[kDepths].byte(); left_to_go > 0; --left_to_go) {
    if (from == kNoSlot) fail();
    from = model.slot(from).older;
  }
  return from;
}

uint32_t ChunkDecoder::State::which(unsigned code) {
  switch (code) {
    case kGoNewest:
      return existing(model.newest_live());
    case kGoNewer:
      return existing(model.newer());
    case kGoOlder:
      return existing(model.older());
    case kGoRealloc:
      return existing(model.realloc_slot());
    case kGoDepth:
      return existing(steps(model.newest_live()));
    case kKnown:
      return slot();
    case kDistance:
      return model.add_slot(distance(model.last_address()));
    default:
      return kNoSlot;
  }
}

uint32_t ChunkDecoder::State::come(unsigned code, uint32_t request, uint64_t usable) {
  const uint32_t in = ChunkModel::class_of(usable);
  uint32_t found;
  switch (code) {
    case kTop:
      found = existing(model.newest_free(in));
      break;
    case kSpecial:
      found = existing(model.newest_free(ChunkModel::kNoClass));
      break;
    case kDepth:
      found = existing(steps(model.newest_free(in)));
      break;
    case kKnown:
      found = slot();
      break;
    case kAdjacent:
      found = model.add_slot(model.adjacent_guess());
      break;
    case kStride:
      found = model.add_slot(model.stride_guess(in));
      break;
    case kDistance:
      found = model.add_slot(distance(model.last_fresh(in)));
      break;
    default:
      return kNoSlot;
  }
  const bool is_fresh = code == kAdjacent || code == kStride || code == kDistance;
  model.come(found, in, request, usable, is_fresh);
  return found;
}

void ChunkDecoder::State::finish(unsigned code, Record& record) {
  const uint32_t request = model.pending_request();
  const uint64_t usable = model.pending_size() + record.usable;
  uint32_t result;
  if (code == kSpecial) {
    result = existing(model.pending());
    model.come(result, ChunkModel::class_of(usable), request, usable, false);
  } else {
    result = come(code, request, usable);
  }
  model.finish(result);
  record.pointer = pointer_of(result);
}

void ChunkDecoder::State::other(unsigned code, Record& record) {
  const uint64_t slack = record.usable - record.size;
  record.size = number();
  record.usable = record.size + slack;
  extras(record);
  if (has_text(record.call)) {
    const uint64_t bytes = number();
    record.text = {columns[kTexts].text(bytes), static_cast<size_t>(bytes)};
  }
  if (record.call == Call::kStack) {
    const uint64_t bytes = number();
    record.frames = {columns[kTexts].text(bytes), static_cast<size_t>(bytes)};
  }
  if (code == kNull) return;
  record.pointer = distance(model.other_address());
  model.other_address() = record.pointer;
}

ChunkDecoder::State::Head ChunkDecoder::State::take_head() {
  unsigned deviations = 0;
  unsigned head = columns[kHeads].byte();
  if ((head & 31) == 0) {
    deviations = head >> 5;
    head = columns[kHeads].byte();
  }
  return {static_cast<Call>(head & 31), head >> 5, deviations};
}

// In one function, as the one below: its parts are shorter than the way to them.
[[gnu::flatten]] void ChunkDecoder::State::read(Record& record, Head head) {
  record = {};
  record.call = head.call;
  const unsigned code = head.code;
  const bool differs = head.differs(kSizeDiffers);
  detail(record, head.differs(kDetailDiffers));
  has_size(record, head.differs(kHasSizeDiffers));
  switch (kind_of(record.call)) {
    case CallKind::kAllocation: {
      const uint32_t asked = request(record);
      slack(record, asked, differs);
      record.pointer = pointer_of(come(this->code(code), asked, record.usable));
      break;
    }
    case CallKind::kIntent: {
      const uint32_t asked = request(record);
      sizes(record, record.size, 0, differs);
      const uint32_t found = which(code);
      record.pointer = pointer_of(found);
      model.intend(found, asked, record.size);
      break;
    }
    case CallKind::kResult: {
      uint64_t& slack = model.request(model.pending_request()).slack;
      sizes(record, 0, slack, differs);
      slack = record.usable - record.size;
      finish(code, record);
      break;
    }
    case CallKind::kRelease: {
      const uint32_t found = which(code);
      extras(record);
      if (record.call == Call::kDeleteForm) {
        record.has_size = (record.extras[0] & format::kFormSized) != 0;
      }
      sizes(record, is_sized(record) ? model.size_guess(found) : 0, 0, differs);
      record.pointer = pointer_of(found);
      if (found != kNoSlot) model.go(found);
      break;
    }
    case CallKind::kOther:
      sizes(record, 0, 0, differs);
      other(code, record);
      break;
  }
  if (record.call == Call::kNewForm) {
    record.has_size = (record.extras[0] & format::kFormSized) != 0;
  }
  record.tick = take_tick();
}

// As the one above for kAllocation, and kRelease.
inline void ChunkDecoder::State::read_plain(PlainRecord& record, Head head, bool comes) {
  record.stack = 0;
  record.whole = 0;
  record.call = head.call;
  record.path = format::Path{};
  record.has_size = false;
  detail(record, head.differs(kDetailDiffers));
  if (comes) {
    const uint32_t asked = request(record);
    slack(record, asked, head.differs(kSizeDiffers));
    record.pointer = pointer_of(come(code(head.code), asked, record.usable));
  } else {
    has_size(record, head.differs(kHasSizeDiffers));
    const uint32_t found = which(head.code);
    sizes(record, record.has_size ? model.size_guess(found) : 0, 0, head.differs(kSizeDiffers));
    record.pointer = pointer_of(found);
    if (found != kNoSlot) model.go(found);
  }
  record.time = take_tick();
}

[[gnu::noinline]] void ChunkDecoder::State::read_whole(RecordRun& run, Head head) {
  Record& record = run.whole.emplace_back();
  read(record, head);
  run.plain[run.count] = {record.tick,   record.pointer, record.size,
                          record.usable, record.stack,   static_cast<uint32_t>(run.whole.size()),
                          record.call,   record.path,    record.has_size};
  const bool is_plain = extras_of(record.call) == 0 && !has_text(record.call);
  if (!is_plain || record.call == Call::kNone) return;
  run.plain[run.count].whole = 0;
  run.whole.pop_back();
}

[[gnu::flatten]] void ChunkDecoder::State::read(RecordRun& run) {
  const size_t count = std::min<size_t>(run.plain.size() - run.count, left);
  PlainRecord* plain = run.plain.data() + run.count;
  for (const PlainRecord* const end = plain + count; plain != end; ++plain) {
    const Head head = take_head();
    if (head.call == Call::kMalloc || head.call == Call::kNew || head.call == Call::kNewArray) {
      read_plain(*plain, head, true);
    } else if (head.call == Call::kFree || head.call == Call::kDelete ||
               head.call == Call::kDeleteArray) {
      read_plain(*plain, head, false);
    } else {
      read_whole(run, head);
    }
    ++run.count;
    --left;
  }
  if (count == 0 || left != 0 || is_at_end()) return;
  --run.count;
  expect_end();
}

bool ChunkDecoder::State::is_at_end() const {
  return known.is_at_end() && std::all_of(columns.begin(), columns.end(),
                                          [](const auto& column) { return column.is_at_end(); });
}

void ChunkDecoder::State::expect_end() const {
  if (!is_at_end()) throw host::Error("the chunk has more in it than its records");
}

ChunkDecoder::ChunkDecoder() : state_(std::make_unique<State>()) {}
ChunkDecoder::~ChunkDecoder() = default;

void ChunkDecoder::open(const format::ChunkHead& head, std::span<const uint8_t> stored) {
  State& state = *state_;
  state.left = 0;
  if (head.codec < format::kFirstCodec || head.codec > format::kChunkCodec) {
    throw host::Error(
        fmt::format("the chunk is of another kind ({}) than this version knows ({} to {})",
                    head.codec, format::kFirstCodec, format::kChunkCodec));
  }
  // No record takes more than so many times its own bytes.
  constexpr uint64_t kMostPlain = uint64_t{4} * format::kMostRecordBytes;
  if (head.plain_bytes > kMostPlain) {
    throw host::Error(fmt::format("the chunk says that it has {} bytes", head.plain_bytes));
  }
  const bool is_first = head.codec == format::kFirstCodec;
  constexpr size_t kColumnsOf[] = {kSlotsLong, kCodes, kColumns};  // by codec, from the first
  static_assert(std::size(kColumnsOf) == format::kChunkCodec);
  state.unpacker.unpack(stored, head.plain_bytes, kColumnsOf[head.codec - format::kFirstCodec],
                        state.columns);
  state.codec = head.codec;
  state.known.clear();
  state.codes.clear();
  state.are_codes_apart = !state.columns[kCodes].is_at_end();
  if (!is_first) state.known.read(state.columns);
  state.model.reset();
  state.last_tick = head.first_tick;
  state.left = head.records;
}

bool ChunkDecoder::next(Record& record) {
  State& state = *state_;
  if (state.left == 0) return false;
  state.read(record);
  if (--state.left == 0) state.expect_end();
  return true;
}

void ChunkDecoder::read(RecordRun& run) { state_->read(run); }

}  // namespace tide::trace
