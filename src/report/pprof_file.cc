#include "report/pprof_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "host/error.h"

namespace tide::report {
namespace {

constexpr size_t kMostPlainBytes = size_t{1} << 30;  // decompressed
constexpr size_t kMostTypes = 16;

// Numbers of fields in profile.proto.
enum ProfileField {
  kSampleType = 1,
  kSample,
  kMapping,
  kLocation,
  kFunction,
  kStrings,
  kTime = 9,
  kDuration,
  kDefaultType = 14
};

class Damaged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// At most `most` bytes of a file that may be gzipped. Nothing: it can't be read or is damaged.
bool plain_bytes(const std::string& path, size_t most, std::string& bytes) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) return false;
  std::string part(size_t{1} << 16, '\0');
  while (bytes.size() < most) {
    const int got = gzread(file.get(), part.data(),
                           static_cast<unsigned>(std::min(part.size(), most - bytes.size())));
    if (got < 0) return false;
    if (got == 0) break;
    bytes.append(part, 0, static_cast<size_t>(got));
  }
  return true;
}

// The fields of a message. Every byte may be hostile.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  // False: there are no more.
  bool next() {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    number_ = static_cast<uint32_t>(key >> 3);
    switch (key & 7) {
      case 0:
        value_ = varint();
        bytes_ = {};
        break;
      case 1:
        skip(8);
        break;
      case 2: {
        const uint64_t size = varint();
        if (size > rest_.size()) throw Damaged("a message is longer than what it is in");
        bytes_ = rest_.substr(0, size);
        rest_.remove_prefix(size);
        break;
      }
      case 5:
        skip(4);
        break;
      default:
        throw Damaged("a field of an unknown kind");
    }
    is_bytes_ = (key & 7) == 2;
    return true;
  }
  uint32_t number() const { return number_; }
  uint64_t value() const { return value_; }
  std::string_view bytes() const { return bytes_; }
  bool is_bytes() const { return is_bytes_; }
  // The numbers of a repeated field, packed or one by one.
  void append_to(std::vector<uint64_t>& values) const {
    if (!is_bytes_) return values.push_back(value_);
    Fields packed(bytes_);
    while (!packed.rest_.empty()) values.push_back(packed.varint());
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) throw Damaged("it ends in the middle of a number");
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    throw Damaged("a number is too long");
  }
  void skip(size_t bytes) {
    if (bytes > rest_.size()) throw Damaged("it ends in the middle of a number");
    rest_.remove_prefix(bytes);
    value_ = 0;
  }

  std::string_view rest_;
  uint32_t number_ = 0;
  uint64_t value_ = 0;
  std::string_view bytes_;
  bool is_bytes_ = false;
};

struct Location {
  uint64_t address = 0;
  std::vector<uint64_t> functions;  // the innermost first
};

struct Tables {
  std::vector<std::string_view> strings;
  std::vector<std::pair<uint64_t, uint64_t>> types;  // indices of texts: kind, unit
  std::unordered_map<uint64_t, Location> locations;
  std::unordered_map<uint64_t, uint64_t> functions;  // name's index
  std::vector<std::string_view> samples;
  uint64_t time_ns = 0;
  uint64_t duration_ns = 0;
  uint64_t default_type = 0;  // an index of a text

  std::string_view text(uint64_t index) const {
    return index < strings.size() ? strings[index] : std::string_view();
  }
};

void read_location(std::string_view bytes, Tables& tables) {
  uint64_t id = 0;
  Location location;
  for (Fields fields(bytes); fields.next();) {
    if (fields.number() == 1) id = fields.value();
    if (fields.number() == 3) location.address = fields.value();
    if (fields.number() != 4) continue;
    for (Fields line(fields.bytes()); line.next();) {
      if (line.number() == 1) location.functions.push_back(line.value());
    }
  }
  tables.locations[id] = std::move(location);
}

std::pair<uint64_t, uint64_t> read_pair(std::string_view bytes) {
  std::pair<uint64_t, uint64_t> pair;
  for (Fields fields(bytes); fields.next();) {
    if (fields.number() == 1) pair.first = fields.value();
    if (fields.number() == 2) pair.second = fields.value();
  }
  return pair;
}

Tables read_tables(std::string_view bytes) {
  Tables tables;
  for (Fields fields(bytes); fields.next();) {
    switch (fields.number()) {
      case kSampleType:
        tables.types.push_back(read_pair(fields.bytes()));
        break;
      case kSample:
        tables.samples.push_back(fields.bytes());
        break;
      case kLocation:
        read_location(fields.bytes(), tables);
        break;
      case kFunction:
        tables.functions.insert(read_pair(fields.bytes()));
        break;
      case kStrings:
        tables.strings.push_back(fields.bytes());
        break;
      case kTime:
        tables.time_ns = fields.value();
        break;
      case kDuration:
        tables.duration_ns = fields.value();
        break;
      case kDefaultType:
        tables.default_type = fields.value();
        break;
      default:
        break;
    }
  }
  if (tables.types.empty()) throw Damaged("it has no kind of sample");
  if (tables.types.size() > kMostTypes) tables.types.resize(kMostTypes);
  return tables;
}

std::vector<FlameView> views_of(const Tables& tables) {
  std::vector<FlameView> views;
  for (const auto& [kind, unit] : tables.types) {
    const std::string_view text = tables.text(unit);
    std::string name(tables.text(kind));
    std::replace(name.begin(), name.end(), '_', ' ');
    views.push_back({name.empty() ? "samples" : name, text == "bytes"         ? "bytes"
                                                      : text == "nanoseconds" ? "ns"
                                                                              : "count"});
  }
  return views;
}

// SIZE_MAX: it names none.
size_t shown_type(const Tables& tables) {
  const std::string_view wanted = tables.text(tables.default_type);
  for (size_t i = 0; i < tables.types.size() && !wanted.empty(); ++i) {
    if (tables.text(tables.types[i].first) == wanted) return i;
  }
  return SIZE_MAX;
}

uint32_t node_of(const std::vector<uint64_t>& stack, const Tables& tables, FlameTree& tree) {
  uint32_t node = FlameTree::kRoot;
  for (auto id = stack.rbegin(); id != stack.rend(); ++id) {
    const auto location = tables.locations.find(*id);
    if (location == tables.locations.end()) throw Damaged("a sample of an unknown place");
    const std::vector<uint64_t>& functions = location->second.functions;
    if (functions.empty()) {
      node = tree.child(node, tree.name(fmt::format("{:#x}", location->second.address)));
    }
    for (auto function = functions.rbegin(); function != functions.rend(); ++function) {
      const auto name = tables.functions.find(*function);
      const bool is_known = name != tables.functions.end();
      node = tree.child(node, tree.name(is_known ? tables.text(name->second) : "?"));
    }
  }
  return node;
}

}  // namespace

bool is_profile(const std::string& path) {
  constexpr size_t kLook = 1 << 16;
  std::string bytes;
  if (!plain_bytes(path, kLook, bytes) || bytes.empty()) return false;
  // Messages are fields 1 to 6 and 11, numbers the others up to 14; the last may be cut off.
  size_t found = 0;
  try {
    for (Fields fields(bytes); fields.next(); ++found) {
      const uint32_t number = fields.number();
      const bool is_message = number <= kStrings || number == 11;
      if (number == 0 || number > 14) return false;
      if (number != 13 && is_message != fields.is_bytes()) return false;
    }
  } catch (const Damaged&) {
    // One byte of each has the kind and number of a field.
    return bytes.size() == kLook || found >= 2;
  }
  return found >= 2;
}

Profile read_profile(const std::string& path) {
  std::string bytes;
  if (!plain_bytes(path, kMostPlainBytes + 1, bytes)) {
    throw host::Error(fmt::format("'{}' is damaged: it cannot be decompressed", path));
  }
  if (bytes.size() > kMostPlainBytes) throw host::Error(fmt::format("'{}' is too large", path));
  return parse_profile(path, bytes);
}

Profile parse_profile(const std::string& name, std::string_view bytes) {
  try {
    const Tables tables = read_tables(bytes);
    Profile profile{FlameTree(views_of(tables)), shown_type(tables), tables.time_ns,
                    tables.duration_ns, tables.samples.size()};
    std::vector<uint64_t> stack;
    std::vector<uint64_t> values;
    for (const std::string_view sample : tables.samples) {
      stack.clear();
      values.clear();
      for (Fields fields(sample); fields.next();) {
        if (fields.number() == 1) fields.append_to(stack);
        if (fields.number() == 2) fields.append_to(values);
      }
      const uint32_t node = node_of(stack, tables, profile.tree);
      for (size_t view = 0; view < std::min(values.size(), tables.types.size()); ++view) {
        profile.tree.add(node, view, static_cast<double>(static_cast<int64_t>(values[view])));
      }
    }
    profile.tree.sum_up();
    return profile;
  } catch (const Damaged& error) {
    throw host::Error(fmt::format("'{}' is damaged: {}", name, error.what()));
  }
}

}  // namespace tide::report
