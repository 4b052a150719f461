#include "inspect/survey.h"

#include <algorithm>
#include <bit>

#include "inspect/first_bytes.h"

namespace tide::inspect {
namespace {

// With so many blocks to find the owners of, memory stays small.
constexpr size_t kMostOwned = 300'000;
// An array of objects shows in as many bytes, if an object is smaller than half of them.
constexpr size_t kObjectLook = 512;

uint64_t row_bytes(uint64_t bytes) {
  return bytes <= Survey::kLargestExact ? bytes : std::bit_floor(bytes);
}

// Rows by size. Blocks of one size come in runs, so the last row is tried first.
class Rows {
 public:
  explicit Rows(std::vector<SizeContents>& rows) : rows_(rows) {}

  size_t number_of(uint64_t bytes) {
    const uint64_t key = row_bytes(bytes);
    if (last_ < rows_.size() && rows_[last_].bytes == key) return last_;
    const auto [entry, is_new] = numbers_.try_emplace(key, rows_.size());
    if (is_new) {
      rows_.emplace_back();
      rows_.back().bytes = key;
    }
    last_ = entry->second;
    return last_;
  }

 private:
  std::vector<SizeContents>& rows_;
  std::unordered_map<uint64_t, size_t> numbers_;
  size_t last_ = 0;
};

// A number that has nothing to do with the pattern in which a program allocates.
uint64_t mixed(uint64_t address) {
  uint64_t value = (address >> 4) * 0x9E3779B97F4A7C15U;
  value ^= value >> 32;
  value *= 0xD6E8FEB86659FD93U;
  return value ^ (value >> 32);
}

class Surveyor {
 public:
  Surveyor(const walk::Target& target, Heaps heaps, Contents& contents,
           const SurveyOptions& options, Survey& result)
      : target_(target),
        heaps_(heaps),
        contents_(contents),
        options_(options),
        result_(result),
        rows_(result.sizes) {}

  void run() {
    count();
    result_.is_scanned = Owners::bytes_to_scan(target_) <= options_.most_scanned;
    look();
    if (result_.is_scanned) add_owners();
    for (const SizeContents& row : result_.sizes) result_.looked_at += row.looked_at;
    std::sort(result_.sizes.begin(), result_.sizes.end(),
              [](const SizeContents& a, const SizeContents& b) { return a.bytes < b.bytes; });
  }

 private:
  struct Pending {
    uint64_t address;
    uint32_t row;
    Kind kind;
  };

  bool is_wanted(uint64_t bytes) const { return !options_.is_wanted || options_.is_wanted(bytes); }

  void count() {
    for (const auto& heap : heaps_) {
      const walk::Unknown unknown = heap->for_each_block([&](std::span<const walk::Block> blocks) {
        for (const walk::Block& block : blocks) {
          if (!is_wanted(block.bytes)) continue;
          SizeContents& row = result_.sizes[rows_.number_of(block.bytes)];
          ++row.blocks;
          row.total_bytes += block.bytes;
        }
        return true;
      });
      result_.unknown.parts += unknown.parts;
      result_.unknown.bytes += unknown.bytes;
      if (result_.unknown.reason.empty()) result_.unknown.reason = unknown.reason;
    }
    for (const SizeContents& row : result_.sizes) {
      result_.blocks += row.blocks;
      result_.bytes += row.total_bytes;
      const bool is_whole = options_.most_per_size == 0 || row.blocks <= options_.most_per_size;
      limits_.push_back(is_whole ? UINT64_MAX : UINT64_MAX / row.blocks * options_.most_per_size);
      if (!is_whole) result_.is_sampled = true;
    }
  }

  void look() {
    FirstBytes reader(target_, options_.with_every_object ? kObjectLook : Contents::kLook);
    std::vector<walk::Block> chosen;
    for (const auto& heap : heaps_) {
      heap->for_each_block([&](std::span<const walk::Block> blocks) {
        if (options_.with_every_object && !options_.is_wanted) {
          look_at(reader, blocks);
          return true;
        }
        chosen.clear();
        for (const walk::Block& block : blocks) {
          if (!is_wanted(block.bytes)) continue;
          if (options_.with_every_object || is_chosen(block)) chosen.push_back(block);
        }
        look_at(reader, chosen);
        return true;
      });
    }
  }

  bool is_chosen(const walk::Block& block) {
    const size_t row = rows_.number_of(block.bytes);
    // A process that was not stopped may have sizes now that it did not have before.
    return row >= limits_.size() || limits_[row] == UINT64_MAX ||
           mixed(block.address) <= limits_[row];
  }

  void look_at(FirstBytes& reader, std::span<const walk::Block> blocks) {
    reader.for_each(blocks, [&](const walk::Block& block, Bytes first) {
      if (options_.with_every_object) {
        const Content object = contents_.object_of(block, first);
        if (object.kind != Kind::kUnknown) {
          const std::pair<uint32_t, bool> key{object.class_number, object.kind == Kind::kObjects};
          if (last_total_ == nullptr || last_key_ != key) {
            last_key_ = key;
            last_total_ = &result_.objects[key];
          }
          ++last_total_->blocks;
          last_total_->bytes += block.bytes;
          SizeContents& row = result_.sizes[rows_.number_of(block.bytes)];
          ++row.looked_at;
          ++row.kinds[static_cast<size_t>(object.kind)];
          return;
        }
        if (is_chosen(block)) note(block, contents_.classify(block));
        return;
      }
      note(block, contents_.classify(block, first));
    });
  }

  void note(const walk::Block& block, const Content& content) {
    const size_t number = rows_.number_of(block.bytes);
    SizeContents& row = result_.sizes[number];
    ++row.looked_at;
    if (content.class_number != Vtables::kNone) ++row.classes[content.class_number];
    if (result_.is_scanned && may_have_owner(content.kind) && owners_.count() < kMostOwned) {
      owners_.add(block.address, block.bytes);
      pending_.push_back({block.address, static_cast<uint32_t>(number), content.kind});
    } else {
      ++row.kinds[static_cast<size_t>(content.kind)];
    }
  }

  void add_owners() {
    owners_.scan(target_);
    for (const Pending& one : pending_) {
      const Kind kind = kind_by_owner(one.kind, owners_.of(one.address));
      ++result_.sizes[one.row].kinds[static_cast<size_t>(kind)];
    }
  }

  const walk::Target& target_;
  const Heaps heaps_;
  Contents& contents_;
  const SurveyOptions& options_;
  Survey& result_;
  Rows rows_;
  std::vector<uint64_t> limits_;  // of mixed(), by row: blocks above it are not looked at
  std::pair<uint32_t, bool> last_key_;
  ClassTotal* last_total_ = nullptr;
  Owners owners_;
  std::vector<Pending> pending_;
};

}  // namespace

bool may_have_owner(Kind kind) {
  switch (kind) {
    case Kind::kText:
    case Kind::kWideText:
    case Kind::kPointers:
    case Kind::kStructure:
    case Kind::kNumbers:
    case Kind::kRandom:
    case Kind::kHashNode:
    case Kind::kHashBuckets:
    case Kind::kUnknown:
      return true;
    default:
      return false;
  }
}

Kind kind_by_owner(Kind kind, Owner owner) {
  switch (owner) {
    case Owner::kString:
      return Kind::kString;
    case Owner::kVector:
      return Kind::kVector;
    case Owner::kHashTable:
      return Kind::kHashBuckets;
    case Owner::kDeque:
      return Kind::kDequeMap;
    case Owner::kNone:
      break;
  }
  return kind;
}

Survey survey(const walk::Target& target, Heaps heaps, Contents& contents,
              const SurveyOptions& options) {
  Survey result;
  Surveyor(target, heaps, contents, options, result).run();
  return result;
}

}  // namespace tide::inspect
