#include "host/process_maps.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "host/proc.h"

namespace tide::host {
namespace {

// Words of a line, from left to right.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  std::string_view next() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
    const std::string_view word = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(word.size());
    return word;
  }
  // A name may have spaces in it.
  std::string_view rest() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
    return rest_;
  }

 private:
  std::string_view rest_;
};

bool parse_number(std::string_view text, int base, uint64_t& value) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return fault == std::errc() && end == text.data() + text.size() && !text.empty();
}

// "7f00-7f10 rw-p 00000000 00:00 0    [heap]"
std::optional<Mapping> parse_head(std::string_view line) {
  Words words(line);
  const std::string_view range = words.next();
  const size_t dash = range.find('-');
  Mapping mapping;
  if (dash == std::string_view::npos || !parse_number(range.substr(0, dash), 16, mapping.start) ||
      !parse_number(range.substr(dash + 1), 16, mapping.end)) {
    return std::nullopt;
  }
  const std::string_view rights = words.next();
  if (rights.size() != 4 || !parse_number(words.next(), 16, mapping.offset)) return std::nullopt;
  mapping.is_readable = rights[0] == 'r';
  mapping.is_writable = rights[1] == 'w';
  mapping.is_executable = rights[2] == 'x';
  mapping.is_shared = rights[3] == 's';
  mapping.device = words.next();
  if (!parse_number(words.next(), 10, mapping.inode)) return std::nullopt;
  mapping.name = words.rest();
  return mapping;
}

void take_field(std::string_view line, Mapping& mapping) {
  constexpr std::pair<std::string_view, uint64_t Mapping::*> kFields[] = {
      {"Rss", &Mapping::rss},
      {"Anonymous", &Mapping::anonymous},
      {"AnonHugePages", &Mapping::huge_pages},
      {"ShmemPmdMapped", &Mapping::huge_pages},
      {"FilePmdMapped", &Mapping::huge_pages},
      {"Shared_Hugetlb", &Mapping::hugetlb},
      {"Private_Hugetlb", &Mapping::hugetlb},
      {"Swap", &Mapping::swap},
  };
  for (const auto& [name, member] : kFields) {
    if (const auto value = field_value(line, name)) mapping.*member += *value;
  }
}

}  // namespace

std::vector<Mapping> parse_maps(std::string_view text) {
  std::vector<Mapping> mappings;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (auto mapping = parse_head(line)) {
      mappings.push_back(std::move(*mapping));
    } else if (!mappings.empty()) {
      take_field(line, mappings.back());
    }
  }
  return mappings;
}

}  // namespace tide::host
