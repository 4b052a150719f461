#include <zlib.h>

#include <array>
#include <utility>

#include "trace/chunk_codec.h"
#include "trace/chunk_columns.h"
#include "trace/chunk_index.h"
#include "trace/chunk_model.h"
#include "trace/code_pairs.h"
#include "trace/known_slots.h"

namespace tide::trace {

using format::Call;
using format::Record;

namespace {

// How far down the lists it is looked for a block. Each step waits for memory, and most blocks that
// came longer ago are not worth the walk.
constexpr uint32_t kMostSteps = 32;
constexpr uint32_t kRecent = 4 * kMostSteps;

uint64_t detail_of(const Record& record) {
  return record.stack << 3 | static_cast<uint64_t>(record.path);
}

}  // namespace

struct ChunkEncoder::State {
  // Whether blocks of a class that were freed long ago are found so far down. Where they are not,
  // one in so many is looked for, to learn when they are.
  class Luck {
   public:
    bool is_worth_it() { return left_ != 0 || ++skipped_ % kSkipped == 0; }
    void tell(bool was_found) {
      if (was_found) {
        left_ = kMost;
      } else if (left_ != 0) {
        --left_;
      }
    }

   private:
    static constexpr uint8_t kMost = 4;
    static constexpr uint8_t kSkipped = 16;

    uint8_t left_ = kMost;
    uint8_t skipped_ = 0;
  };

  ChunkModel model;
  KnownSlots known;
  CodePairWriter codes;
  SlotIndex slot_index;
  RequestIndex request_index;
  std::array<ColumnWriter, kColumns> columns;
  ColumnWriter heads_with_codes;  // instead of kHeads and kCodes, if that is less
  ColumnPacker packer;
  std::array<Luck, ChunkModel::kClasses> luck;
  uint64_t last_tick = 0;

  void reset(uint64_t first_tick);
  void add(const Record& record);
  void choose_heads();

 private:
  void number(uint64_t value) { columns[kNumbers].number(value); }
  bool detail(const Record& record);
  bool has_size(const Record& record);
  uint32_t request(const Record& record);
  bool sizes(const Record& record, uint64_t size_guess, uint64_t slack_guess);
  bool slack(const Record& record, uint32_t request);
  void distance(uint64_t pointer, uint64_t from) {
    columns[kAddresses].number(fold(pointer - from));
  }
  void slot(uint32_t found);
  uint32_t steps(uint32_t from, uint32_t wanted, uint32_t most_moments = kRecent);
  uint32_t steps_among_free(uint32_t in, uint32_t wanted);
  uint32_t create(uint64_t pointer, uint32_t* place);
  unsigned which(uint64_t pointer, uint32_t* found);
  unsigned come(uint64_t pointer, uint32_t request, uint64_t usable, bool is_result);
  unsigned finish(const Record& record);
  unsigned other(const Record& record);
  void extras(const Record& record);
};

void ChunkEncoder::State::reset(uint64_t first_tick) {
  model.reset();
  known.clear();
  codes.clear();
  slot_index.reset();
  request_index.reset();
  for (ColumnWriter& column : columns) column.clear();
  heads_with_codes.clear();
  last_tick = first_tick;
}

// These three return whether it is not as it was the last time.
bool ChunkEncoder::State::detail(const Record& record) {
  const uint64_t detail = detail_of(record);
  bool& had = model.has_detail(record.call);
  const bool differs = had != (detail != 0);
  had = detail != 0;
  if (detail == 0) return differs;
  uint64_t& guess = model.next_detail();
  columns[kDetails].number(detail == guess ? 0 : detail);
  model.detailed(guess, detail);
  return differs;
}

bool ChunkEncoder::State::has_size(const Record& record) {
  if (record.call != Call::kDelete && record.call != Call::kDeleteArray) return false;
  bool& had = model.has_size(record.call);
  const bool differs = had != record.has_size;
  had = record.has_size;
  return differs;
}

bool ChunkEncoder::State::sizes(const Record& record, uint64_t size_guess, uint64_t slack_guess) {
  const uint64_t slack = record.usable - record.size;
  if (record.size == size_guess && slack == slack_guess) return false;
  number(record.size);
  number(slack);
  return true;
}

// Of a block that was asked for, so its size is known.
bool ChunkEncoder::State::slack(const Record& record, uint32_t request) {
  const uint64_t slack = record.usable - record.size;
  uint64_t& had = model.request(request).slack;
  if (slack == had) return false;
  had = slack;
  number(slack);
  return true;
}

void ChunkEncoder::State::extras(const Record& record) {
  for (size_t i = 0; i < extras_of(record.call); ++i) number(record.extras[i]);
}

uint32_t ChunkEncoder::State::request(const Record& record) {
  uint32_t& guess = model.guess(detail_of(record));
  uint16_t& entry = request_index.find(model, record.size, record.extras);
  uint32_t found = entry;
  if (found == ChunkModel::kNoRequest) {
    columns[kSizes].byte(kLong);
    number(record.size);
    extras(record);
    found = model.add_request({record.size, {record.extras[0], record.extras[1]}, 0});
    entry = static_cast<uint16_t>(found);
  } else {
    columns[kSizes].split(found == guess ? 0 : found, columns[kSizesLow], columns[kNumbers]);
  }
  model.requested(guess, found);
  return found;
}

void ChunkEncoder::State::slot(uint32_t found) { known.add(found); }

// From `from` down to `wanted`; 0: too many, or it is not there.
uint32_t ChunkEncoder::State::steps(uint32_t from, uint32_t wanted, uint32_t most_moments) {
  if (model.moment() - model.slot(wanted).moment > most_moments) return 0;
  for (uint32_t steps = 0; steps <= kMostSteps && from != kNoSlot; ++steps) {
    if (from == wanted) return steps;
    from = model.slot(from).older;
  }
  return 0;
}

// Down the free blocks of the class. A program that frees at random has few in each, and they stay.
uint32_t ChunkEncoder::State::steps_among_free(uint32_t in, uint32_t wanted) {
  const bool is_worth_it = luck[in].is_worth_it();
  const uint32_t depth = steps(model.newest_free(in), wanted, is_worth_it ? UINT32_MAX : kRecent);
  if (is_worth_it) luck[in].tell(depth != 0);
  return depth;
}

uint32_t ChunkEncoder::State::create(uint64_t pointer, uint32_t* place) {
  const uint32_t slot = model.add_slot(pointer);
  slot_index.put(model, place, slot);
  return slot;
}

unsigned ChunkEncoder::State::which(uint64_t pointer, uint32_t* found) {
  *found = kNoSlot;
  if (pointer == 0) return kNull;
  uint32_t* const place = slot_index.find(model, pointer);
  *found = *place;
  if (*found == kNoSlot) {
    distance(pointer, model.last_address());
    *found = create(pointer, place);
    return kDistance;
  }
  if (*found == model.newest_live()) return kGoNewest;
  if (*found == model.newer()) return kGoNewer;
  if (*found == model.older()) return kGoOlder;
  if (*found == model.realloc_slot()) return kGoRealloc;
  if (const uint32_t depth = steps(model.newest_live(), *found); depth != 0) {
    columns[kDepths].byte(depth);
    return kGoDepth;
  }
  slot(*found);
  return kKnown;
}

unsigned ChunkEncoder::State::come(uint64_t pointer, uint32_t request, uint64_t usable,
                                   bool is_result) {
  if (pointer == 0) return kNull;
  const uint32_t in = ChunkModel::class_of(usable);
  uint32_t* const place = slot_index.find(model, pointer);
  uint32_t found = *place;
  const bool is_fresh = found == kNoSlot;
  unsigned code;
  if (is_fresh) {
    if (pointer == model.adjacent_guess()) {
      code = kAdjacent;
    } else if (pointer == model.stride_guess(in)) {
      code = kStride;
    } else {
      code = kDistance;
      distance(pointer, model.last_fresh(in));
    }
    found = create(pointer, place);
  } else if (found == model.newest_free(in)) {
    code = kTop;
  } else if (!is_result && found == model.newest_free(ChunkModel::kNoClass)) {
    code = kSpecial;
  } else if (const uint32_t depth = steps_among_free(in, found); depth != 0) {
    code = kDepth;
    columns[kDepths].byte(depth);
  } else {
    code = kKnown;
    slot(found);
  }
  model.come(found, in, request, usable, is_fresh);
  return code;
}

unsigned ChunkEncoder::State::finish(const Record& record) {
  const uint32_t request = model.pending_request();
  const uint64_t usable = model.pending_size() + record.usable;
  const uint32_t old = model.pending();
  const bool stays = old != kNoSlot && record.pointer == model.slot(old).pointer;
  if (stays) {
    model.come(old, ChunkModel::class_of(usable), request, usable, false);
    model.finish(old);
    return kSpecial;
  }
  const unsigned code = come(record.pointer, request, usable, true);
  model.finish(record.pointer == 0 ? kNoSlot : model.newest_live());
  return code;
}

unsigned ChunkEncoder::State::other(const Record& record) {
  number(record.size);
  extras(record);
  if (has_text(record.call)) {
    number(record.text.size());
    columns[kTexts].text(record.text.data(), record.text.size());
  }
  if (record.call == Call::kStack) {
    number(record.frames.size());
    columns[kTexts].text(record.frames.data(), record.frames.size());
  }
  if (record.pointer == 0) return kNull;
  distance(record.pointer, model.other_address());
  model.other_address() = record.pointer;
  return kDistance;
}

void ChunkEncoder::State::add(const Record& record) {
  unsigned deviations = 0;
  if (detail(record)) deviations |= kDetailDiffers;
  if (has_size(record)) deviations |= kHasSizeDiffers;
  unsigned code = kNull;
  bool differs = false;
  uint32_t found;
  switch (kind_of(record.call)) {
    case CallKind::kAllocation: {
      const uint32_t asked = request(record);
      differs = slack(record, asked);
      code = come(record.pointer, asked, record.usable, false);
      codes.add(code, columns[kCodes]);
      break;
    }
    case CallKind::kIntent: {
      const uint32_t asked = request(record);
      differs = sizes(record, record.size, 0);
      code = which(record.pointer, &found);
      model.intend(found, asked, record.size);
      break;
    }
    case CallKind::kResult: {
      uint64_t& slack = model.request(model.pending_request()).slack;
      differs = sizes(record, 0, slack);
      slack = record.usable - record.size;
      code = finish(record);
      break;
    }
    case CallKind::kRelease: {
      code = which(record.pointer, &found);
      extras(record);
      differs = sizes(record, is_sized(record) ? model.size_guess(found) : 0, 0);
      if (found != kNoSlot) model.go(found);
      break;
    }
    case CallKind::kOther:
      differs = sizes(record, record.size, 0);
      code = other(record);
      break;
  }
  if (differs) deviations |= kSizeDiffers;
  columns[kTimes].split(record.tick - last_tick, columns[kTimesLow], columns[kNumbers]);
  last_tick = record.tick;
  const bool is_apart = kind_of(record.call) == CallKind::kAllocation;
  const size_t head = static_cast<size_t>(record.call);
  for (ColumnWriter* const heads : {&columns[kHeads], &heads_with_codes}) {
    if (deviations != 0) heads->byte(deviations << 5);
    heads->byte(is_apart && heads == &columns[kHeads] ? head : head | size_t{code} << 5);
  }
}

// A program that does the same again and again has codes that follow from the calls before them;
// of one whose blocks come and go at random they follow from nothing.
void ChunkEncoder::State::choose_heads() {
  constexpr size_t kLooked = 64 << 10;
  codes.finish(columns[kCodes]);
  if (packer.packed_bytes(heads_with_codes, kLooked) >
      packer.packed_bytes(columns[kHeads], kLooked) +
          packer.packed_bytes(columns[kCodes], kLooked / 4)) {
    return;
  }
  std::swap(columns[kHeads], heads_with_codes);
  columns[kCodes].clear();
}

ChunkEncoder::ChunkEncoder() : state_(std::make_unique<State>()) {}
ChunkEncoder::~ChunkEncoder() = default;

void ChunkEncoder::encode(std::span<const PacketView> packets, std::vector<uint8_t>& stored,
                          format::ChunkHead& head, const Watch& watch) {
  State& state = *state_;
  head.first_tick = packets.empty() ? 0 : packets.front().first_tick;
  state.reset(head.first_tick);
  head.records = head.record_bytes = 0;
  Record record;
  for (const PacketView& packet : packets) {
    format::RecordReader reader(packet.records.data(), packet.records.size(), packet.first_tick);
    for (; reader.next(record); ++head.records) {
      state.add(record);
      if (watch && kind_of(record.call) == CallKind::kOther) watch(record);
    }
    head.record_bytes += static_cast<uint32_t>(reader.offset());
  }
  state.known.write(state.columns);
  state.choose_heads();
  const size_t start = stored.size();
  head.packets = static_cast<uint32_t>(packets.size());
  head.last_tick = state.last_tick;
  head.plain_bytes = static_cast<uint32_t>(state.packer.pack(state.columns, stored));
  head.stored_bytes = static_cast<uint32_t>(stored.size() - start);
  head.codec = format::kChunkCodec;
  head.payload_crc =
      static_cast<uint32_t>(crc32(0, stored.data() + start, static_cast<uInt>(head.stored_bytes)));
}

}  // namespace tide::trace
