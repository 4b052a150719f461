// The call frame information that the compiler writes for the unwinder (DWARF 5, 6.4; its form in
// .eh_frame: Linux Standard Base, 10.6), of which only the stack and frame pointer count here.
#include "sys/call_frame.h"

#include <cstddef>
#include <cstring>

namespace tide::sys {

#if defined(__x86_64__) && !defined(__ILP32__)

namespace {

// Of the unwinder in libgcc: the description of the function that `code` is in, or null.
struct Bases {
  void* text;
  void* data;
  void* function;
};
extern "C" const unsigned char* _Unwind_Find_FDE(void* code, Bases* bases);

constexpr uint64_t kFramePointer = 6;  // rbp, as debug information counts
constexpr uint64_t kStackPointer = 7;
constexpr uint64_t kReturnAddress = 16;
constexpr int64_t kWord = 8;

class Bytes {
 public:
  Bytes(const unsigned char* begin, const unsigned char* end) : at_(begin), end_(end) {}

  bool is_good() const { return is_good_; }
  bool has_more() const { return is_good_ && at_ < end_; }
  const unsigned char* at() const { return at_; }

  void skip(uint64_t bytes) {
    if (bytes > static_cast<uint64_t>(end_ - at_)) {
      is_good_ = false;
    } else {
      at_ += bytes;
    }
  }
  template <typename T>
  T number() {
    T value{};
    const unsigned char* const from = at_;
    skip(sizeof value);
    if (is_good_) memcpy(&value, from, sizeof value);
    return value;
  }
  uint64_t unsigned_leb() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = number<uint8_t>();
      value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80u) == 0) return value;
    }
    is_good_ = false;
    return 0;
  }
  int64_t signed_leb() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64;) {
      const auto byte = number<uint8_t>();
      value |= uint64_t{byte & 0x7fu} << shift;
      shift += 7;
      if ((byte & 0x80u) != 0) continue;
      if ((byte & 0x40u) != 0 && shift < 64) value |= ~uint64_t{0} << shift;
      return static_cast<int64_t>(value);
    }
    is_good_ = false;
    return 0;
  }
  // What `bytes` bytes from here are.
  Bytes part(uint64_t bytes) {
    const unsigned char* const begin = at_;
    skip(bytes);
    return {begin, is_good_ ? at_ : begin};
  }
  // An address in one of the encodings of .eh_frame.
  void skip_address(unsigned encoding) {
    switch (encoding & 0x0fu) {
      case 0x00:
      case 0x04:
      case 0x0c:
        return skip(8);
      case 0x02:
      case 0x0a:
        return skip(2);
      case 0x03:
      case 0x0b:
        return skip(4);
      default:
        is_good_ = false;
    }
  }

 private:
  const unsigned char* at_;
  const unsigned char* end_;
  bool is_good_ = true;
};

enum class Saved : uint8_t { kSame, kBelowCaller, kAtFrame, kNowhere, kUnknown };
// Where a call returns to.
enum class Return : uint8_t { kUnknown, kBelowCaller, kNowhere };

// Of a place in a function.
struct Row {
  FrameKind kind = FrameKind::kUnknown;
  uint64_t base = 0;  // the register that `distance` is from
  int64_t distance = 0;
  Saved frame = Saved::kSame;
  int64_t frame_at = 0;  // from the caller's frame
  Return return_to = Return::kUnknown;
};

struct Common {
  uint64_t code_unit = 0;
  int64_t data_unit = 0;
  unsigned address_encoding = 0;
  bool has_lengths = false;
  bool is_known = false;
};

// Of the part that functions of one object file share; `bytes` begins behind its identifier.
Common read_common(Bytes& bytes) {
  Common common;
  const auto version = bytes.number<uint8_t>();
  const char* const letters = reinterpret_cast<const char*>(bytes.at());
  while (bytes.number<uint8_t>() != 0) {
  }
  if (!bytes.is_good() || (version != 1 && version != 3)) return common;
  common.code_unit = bytes.unsigned_leb();
  common.data_unit = bytes.signed_leb();
  const uint64_t return_column = version == 1 ? bytes.number<uint8_t>() : bytes.unsigned_leb();
  if (letters[0] != 'z' && letters[0] != 0) return common;
  common.has_lengths = letters[0] == 'z';
  if (common.has_lengths) {
    Bytes more = bytes.part(bytes.unsigned_leb());
    for (const char* letter = letters + 1; *letter != 0; ++letter) {
      if (*letter == 'R') {
        common.address_encoding = more.number<uint8_t>();
      } else if (*letter == 'P') {
        more.skip_address(more.number<uint8_t>());
      } else if (*letter == 'L') {
        more.skip(1);
      } else {  // among them: a signal's frame
        return common;
      }
    }
    if (!more.is_good()) return common;
  }
  common.is_known = bytes.is_good() && return_column == kReturnAddress;
  return common;
}

// Register plus offset, with or without the word that is there: all that compilers write.
struct Expression {
  bool is_of_frame_pointer;
  bool is_word;
  int64_t offset;
};
Expression read_expression(Bytes bytes) {
  constexpr unsigned kRegister = 0x70;   // DW_OP_breg0
  constexpr unsigned kWordThere = 0x06;  // DW_OP_deref
  const bool is_of_frame = bytes.number<uint8_t>() == kRegister + kFramePointer;
  const int64_t offset = bytes.signed_leb();
  const bool has_more = bytes.has_more();
  const bool is_word = has_more && bytes.number<uint8_t>() == kWordThere;
  const bool is_all = bytes.is_good() && !bytes.has_more() && is_word == has_more;
  return {is_of_frame && is_all, is_word, offset};
}

class Rows {
 public:
  Rows(const Common& common, uintptr_t begin, uintptr_t wanted)
      : common_(common), place_(begin), wanted_(wanted) {}

  // False: something that is not understood.
  bool run(Bytes bytes) {
    while (bytes.has_more() && place_ < wanted_) {
      if (!step(bytes)) return false;
    }
    return bytes.is_good();
  }
  void keep_first() { first_ = row_; }
  const Row& row() const { return row_; }

 private:
  static constexpr size_t kMostRemembered = 8;

  void advance(uint64_t units) { place_ += units * common_.code_unit; }

  void save(uint64_t which, Saved saved, int64_t at) {
    if (which == kFramePointer) {
      row_.frame = saved;
      row_.frame_at = at;
    } else if (which == kReturnAddress) {
      row_.return_to = saved == Saved::kNowhere                       ? Return::kNowhere
                       : saved == Saved::kBelowCaller && at == -kWord ? Return::kBelowCaller
                                                                      : Return::kUnknown;
    } else if (which == kStackPointer) {
      row_.kind = FrameKind::kUnknown;
      is_odd_ = true;
    }
  }
  void restore(uint64_t which) {
    if (which == kFramePointer) {
      row_.frame = first_.frame;
      row_.frame_at = first_.frame_at;
    } else if (which == kReturnAddress) {
      row_.return_to = first_.return_to;
    }
  }
  void define(uint64_t base, int64_t distance) {
    row_.base = base;
    row_.distance = distance;
    row_.kind = base == kStackPointer   ? FrameKind::kOfStack
                : base == kFramePointer ? FrameKind::kOfFrame
                                        : FrameKind::kUnknown;
  }
  void define(const Expression& expression) {
    const bool is_known = expression.is_of_frame_pointer && expression.is_word;
    row_.kind = is_known ? FrameKind::kAligned : FrameKind::kUnknown;
    row_.distance = expression.offset;
  }
  void save_at(uint64_t which, const Expression& expression) {
    const bool is_known =
        expression.is_of_frame_pointer && !expression.is_word && expression.offset == 0;
    save(which, is_known ? Saved::kAtFrame : Saved::kUnknown, 0);
  }

  bool step(Bytes& bytes) {
    const auto code = bytes.number<uint8_t>();
    const unsigned low = code & 0x3fu;
    switch (code >> 6) {
      case 1:
        advance(low);
        return true;
      case 2:
        save(low, Saved::kBelowCaller,
             static_cast<int64_t>(bytes.unsigned_leb()) * common_.data_unit);
        return true;
      case 3:
        restore(low);
        return true;
      default:
        return step_of_others(code, bytes);
    }
  }

  bool step_of_others(unsigned code, Bytes& bytes) {
    switch (code) {
      case 0x00:
        return true;  // nothing
      case 0x02:
        advance(bytes.number<uint8_t>());
        return true;
      case 0x03:
        advance(bytes.number<uint16_t>());
        return true;
      case 0x04:
        advance(bytes.number<uint32_t>());
        return true;
      case 0x06:
        restore(bytes.unsigned_leb());
        return true;
      case 0x07:
        save(bytes.unsigned_leb(), Saved::kNowhere, 0);
        return true;
      case 0x08:
        save(bytes.unsigned_leb(), Saved::kSame, 0);
        return true;
      case 0x0a:
        if (remembered_count_ == kMostRemembered) return false;
        remembered_[remembered_count_++] = row_;
        return true;
      case 0x0b:
        if (remembered_count_ == 0) return false;
        row_ = remembered_[--remembered_count_];
        return true;
      case 0x0d:
        define(bytes.unsigned_leb(), row_.distance);
        return true;
      case 0x0e:
        define(row_.base, static_cast<int64_t>(bytes.unsigned_leb()));
        return true;
      case 0x0f:
        define(read_expression(bytes.part(bytes.unsigned_leb())));
        return true;
      case 0x13:
        define(row_.base, bytes.signed_leb() * common_.data_unit);
        return true;
      case 0x2e:
        bytes.unsigned_leb();
        return true;  // what calls have pushed
      default:
        return step_of_two(code, bytes);
    }
  }

  // Those of a register and something else.
  bool step_of_two(unsigned code, Bytes& bytes) {
    const uint64_t which = bytes.unsigned_leb();
    switch (code) {
      case 0x05:
        save(which, Saved::kBelowCaller,
             static_cast<int64_t>(bytes.unsigned_leb()) * common_.data_unit);
        return true;
      case 0x09:  // in another register
      case 0x14:
        bytes.unsigned_leb();
        save(which, Saved::kUnknown, 0);
        return true;
      case 0x0c:
        define(which, static_cast<int64_t>(bytes.unsigned_leb()));
        return true;
      case 0x10:
        save_at(which, read_expression(bytes.part(bytes.unsigned_leb())));
        return true;
      case 0x11:
        save(which, Saved::kBelowCaller, bytes.signed_leb() * common_.data_unit);
        return true;
      case 0x12:
        define(which, bytes.signed_leb() * common_.data_unit);
        return true;
      case 0x16:
        bytes.part(bytes.unsigned_leb());
        save(which, Saved::kUnknown, 0);
        return true;
      default:
        return false;
    }
  }

 public:
  bool is_odd() const { return is_odd_; }

 private:
  const Common& common_;
  uintptr_t place_;
  uintptr_t wanted_;
  Row row_;
  Row first_;
  Row remembered_[kMostRemembered];
  size_t remembered_count_ = 0;
  bool is_odd_ = false;  // the stack pointer is not where the caller's frame begins
};

// `record`: a length and what it says.
Bytes record_at(const unsigned char* record) {
  uint32_t length;
  memcpy(&length, record, sizeof length);
  constexpr uint32_t kIsLong = ~uint32_t{0};
  const unsigned char* const begin = record + sizeof length;
  return {begin, begin + (length == kIsLong ? 0 : length)};
}

bool fits(int64_t words) { return words > 0 && words <= UINT16_MAX; }

CallFrame frame_of(const Row& row) {
  constexpr CallFrame kNone{FrameKind::kUnknown, 0, 0};
  if (row.return_to == Return::kNowhere) return {FrameKind::kOutermost, 0, 0};
  if (row.return_to == Return::kUnknown || row.distance % kWord != 0 || row.frame_at % kWord != 0) {
    return kNone;
  }
  CallFrame frame{row.kind, 0, 0};
  if (row.kind == FrameKind::kAligned) {
    if (row.frame != Saved::kAtFrame || !fits(-row.distance / kWord)) return kNone;
    frame.words = static_cast<uint16_t>(-row.distance / kWord);
    return frame;
  }
  if (row.frame == Saved::kBelowCaller) {
    if (!fits(-row.frame_at / kWord)) return kNone;
    frame.saved_words = static_cast<uint16_t>(-row.frame_at / kWord);
  } else if (row.frame != Saved::kSame) {
    return kNone;
  }
  if (row.kind == FrameKind::kOfFrame) {
    return row.distance == 2 * kWord && frame.saved_words <= 2 ? frame : kNone;
  }
  if (row.kind != FrameKind::kOfStack || !fits(row.distance / kWord)) return kNone;
  frame.words = static_cast<uint16_t>(row.distance / kWord);
  return frame.saved_words <= frame.words ? frame : kNone;
}

}  // namespace

CallFrame read_call_frame(uintptr_t return_address) {
  constexpr CallFrame kNone{FrameKind::kUnknown, 0, 0};
  Bases bases{};
  // The call is in front of it, perhaps as the last of its function.
  const unsigned char* const record =
      _Unwind_Find_FDE(reinterpret_cast<void*>(return_address - 1), &bases);
  if (record == nullptr) return kNone;
  Bytes own = record_at(record);
  const unsigned char* const from = own.at();
  const auto back = own.number<int32_t>();
  if (!own.is_good()) return kNone;
  Bytes shared = record_at(from - back);
  shared.skip(sizeof(uint32_t));
  const Common common = read_common(shared);
  if (!common.is_known) return kNone;
  own.skip_address(common.address_encoding);
  own.skip_address(common.address_encoding);
  if (common.has_lengths) own.skip(own.unsigned_leb());
  if (!own.is_good()) return kNone;
  Rows rows(common, reinterpret_cast<uintptr_t>(bases.function), return_address);
  if (!rows.run(shared)) return kNone;
  rows.keep_first();
  if (!rows.run(own) || rows.is_odd()) return kNone;
  return frame_of(rows.row());
}

#else

CallFrame read_call_frame(uintptr_t) { return {FrameKind::kUnknown, 0, 0}; }

#endif

}  // namespace tide::sys
