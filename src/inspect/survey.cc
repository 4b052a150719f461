#include "inspect/survey.h"

#include <algorithm>
#include <bit>

#include "inspect/first_bytes.h"
#include "inspect/hash_tables.h"
#include "inspect/memory_scan.h"

namespace tide::inspect {
namespace {

// Of so many blocks of a size, and in all, owners are looked for: memory stays small.
constexpr uint64_t kMostOwnedPerSize = 10'000;
constexpr size_t kMostOwned = 300'000;
// An array of objects shows in as many bytes, if an object is smaller than half of them.
constexpr size_t kObjectLook = 512;

// Sizes of one row have the same; exact ones are even.
uint64_t row_key(uint64_t bytes) {
  return bytes <= Survey::kLargestExact ? 2 * bytes : std::bit_floor(bytes) + 1;
}

// Rows by size. Blocks of one size come in runs, so the last row is tried first.
class Rows {
 public:
  explicit Rows(std::vector<SizeContents>& rows) : rows_(rows) {}

  size_t number_of(uint64_t bytes) {
    const uint64_t key = row_key(bytes);
    if (last_key_ == key) return last_;
    const auto [entry, is_new] = numbers_.try_emplace(key, rows_.size());
    if (is_new) {
      rows_.emplace_back();
      rows_.back().least = bytes;
    }
    last_key_ = key;
    last_ = entry->second;
    return last_;
  }

 private:
  std::vector<SizeContents>& rows_;
  std::unordered_map<uint64_t, size_t> numbers_;
  uint64_t last_key_ = UINT64_MAX;
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
    result_.is_scanned = bytes_to_scan(target_) <= options_.most_scanned;
    look();
    if (result_.is_scanned) add_owners();
    for (const SizeContents& row : result_.sizes) result_.looked_at += row.looked_at;
    std::sort(result_.sizes.begin(), result_.sizes.end(),
              [](const SizeContents& a, const SizeContents& b) { return a.least < b.least; });
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
          row.least = std::min(row.least, block.bytes);
          row.largest = std::max(row.largest, block.bytes);
          row.total_bytes += block.bytes;
        }
        return true;
      });
      result_.unknown.add(unknown);
    }
    for (const SizeContents& row : result_.sizes) {
      result_.blocks += row.blocks;
      result_.bytes += row.total_bytes;
      limits_.push_back(limit_for(row.blocks, options_.most_per_size));
      owned_limits_.push_back(limit_for(row.blocks, kMostOwnedPerSize));
      if (limits_.back() != UINT64_MAX) result_.is_sampled = true;
    }
  }

  // Of mixed() addresses, so that about `most` of `blocks` are not above it; most 0: all.
  static uint64_t limit_for(uint64_t blocks, uint64_t most) {
    return most == 0 || blocks <= most ? UINT64_MAX : UINT64_MAX / blocks * most;
  }
  // A process that was not stopped may have sizes now that it did not have before: all of those.
  static bool is_within(const std::vector<uint64_t>& limits, size_t row, uint64_t address) {
    return row >= limits.size() || limits[row] == UINT64_MAX || mixed(address) <= limits[row];
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
    return is_within(limits_, rows_.number_of(block.bytes), block.address);
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
    ++row.kinds[static_cast<size_t>(content.kind)];
    if (!result_.is_scanned || !may_have_owner(content.kind)) return;
    if (owners_.count() < kMostOwned && is_within(owned_limits_, number, block.address)) {
      owners_.add(block.address, block.bytes);
      pending_.push_back({block.address, static_cast<uint32_t>(number), content.kind});
    }
  }

  // Moves blocks from what they looked like to what their owners say. Those of a size and kind that
  // were looked for stand for all.
  void add_owners() {
    owners_.scan(target_);
    find_hash_nodes();
    struct Group {
      uint64_t asked = 0;
      std::map<Kind, uint64_t> found;
    };
    std::map<std::pair<uint32_t, Kind>, Group> groups;
    for (const Pending& one : pending_) {
      Group& group = groups[{one.row, one.kind}];
      ++group.asked;
      const Kind kind = tables_.has(one.address) ? Kind::kHashNode
                                                 : kind_by_owner(one.kind, owners_.of(one.address));
      if (kind != one.kind) ++group.found[kind];
    }
    std::vector<std::array<uint64_t, kKinds>> before;
    for (const SizeContents& row : result_.sizes) before.push_back(row.kinds);
    for (const auto& [key, group] : groups) {
      const auto [row, from] = key;
      const uint64_t all = before[row][static_cast<size_t>(from)];
      if (group.asked != all) result_.has_estimated_owners = true;
      const double factor = static_cast<double>(all) / static_cast<double>(group.asked);
      for (const auto& [to, count] : group.found) {
        auto& kinds = result_.sizes[row].kinds;
        const auto moved = std::min(static_cast<uint64_t>(static_cast<double>(count) * factor),
                                    kinds[static_cast<size_t>(from)]);
        kinds[static_cast<size_t>(from)] -= moved;
        kinds[static_cast<size_t>(to)] += moved;
      }
    }
  }

  // Where not all could be followed, what looks like those of its size that were.
  void find_hash_nodes() {
    const auto is_chained = [](const Pending& one) { return one.kind == Kind::kChainNode; };
    if (std::none_of(pending_.begin(), pending_.end(), is_chained)) return;
    for (const Pending& one : pending_) tables_.add(one.address);
    tables_.find(target_, contents_.pointees());
    if (tables_.is_complete()) return;
    std::vector<bool> has_some(result_.sizes.size());
    for (const Pending& one : pending_) {
      if (tables_.has(one.address)) has_some[one.row] = true;
    }
    for (Pending& one : pending_) {
      if (is_chained(one) && has_some[one.row]) tables_.set(one.address);
    }
  }

  const walk::Target& target_;
  const Heaps heaps_;
  Contents& contents_;
  const SurveyOptions& options_;
  Survey& result_;
  Rows rows_;
  std::vector<uint64_t> limits_;  // of mixed(), by row: blocks above it are not looked at
  std::vector<uint64_t> owned_limits_;
  std::pair<uint32_t, bool> last_key_;
  ClassTotal* last_total_ = nullptr;
  Owners owners_;
  HashTables tables_;
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
    case Kind::kChainNode:
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
