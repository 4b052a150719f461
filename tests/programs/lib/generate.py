"""Inputs for the cases, the same on every run: texts, and a large C++ translation unit."""

import random

_SYLLABLES = ("ka", "lo", "mi", "ter", "su", "van", "pre", "qui", "do", "zen", "ar", "bel")


def words(seed, count):
    source = random.Random(seed)
    return ["".join(source.choices(_SYLLABLES, k=source.randint(1, 4))) for _ in range(count)]


def text(seed, lines, words_in_line=9):
    source = random.Random(seed)
    pool = words(seed, 3000)
    return "".join(" ".join(source.choices(pool, k=words_in_line)) + "\n"
                   for _ in range(lines))


def random_bytes(seed, size):
    return random.Random(seed).randbytes(size)


_CPP_HEAD = """\
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>
template <int N> struct Chain { static constexpr unsigned long value = Chain<N - 1>::value * 3 + N; };
template <> struct Chain<0> { static constexpr unsigned long value = 1; };
"""

_CPP_PIECE = """\
struct Item{i} {{ int a{i}; std::string name; std::vector<double> data;
  bool operator<(const Item{i}& o) const {{ return std::tie(a{i}, name) < std::tie(o.a{i}, o.name); }} }};
class Store{i} {{
 public:
  void add(Item{i} item) {{ items_[item.name].push_back(std::move(item)); }}
  long total(std::function<long(const Item{i}&)> weigh) const {{
    long sum = static_cast<long>(Chain<{depth}>::value & 0xffffff);
    for (const auto& [name, list] : items_) for (const auto& item : list) sum += weigh(item) ^ {salt};
    return sum;
  }}
  std::vector<Item{i}> sorted() const {{
    std::vector<Item{i}> all;
    for (const auto& entry : items_) all.insert(all.end(), entry.second.begin(), entry.second.end());
    std::sort(all.begin(), all.end());
    return all;
  }}
  using Value = std::variant<int, Item{i}, std::unique_ptr<Item{i}>>;
  static long visit(const Value& v) {{ return static_cast<long>(v.index()) + {salt}; }}
 private:
  std::unordered_map<std::string, std::vector<Item{i}>> items_;
}};
long use{i}(int n) {{
  Store{i} store;
  for (int k = 0; k < n; ++k) store.add({{k * {salt}, std::to_string(k % 7), {{1.0 * k, 2.0}}}});
  long sum = Store{i}::visit(n % 2 ? Store{i}::Value(n) : Store{i}::Value(Item{i}{{}}));
  for (const auto& item : store.sorted()) sum = sum * 31 + item.a{i};
  return sum + store.total([n](const Item{i}& item) {{ return item.a{i} % (n + 1); }});
}}
"""


def cpp_unit(seed, pieces):
    """A translation unit with `pieces` classes that each instantiate a handful of containers."""
    source = random.Random(seed)
    parts = [_CPP_HEAD]
    for i in range(pieces):
        parts.append(_CPP_PIECE.format(i=i, depth=source.randint(20, 400),
                                       salt=source.randint(3, 9999)))
    parts.append("#include <cstdio>\nint main() {\n  long sum = 0;\n")
    parts += [f"  sum = sum * 7 + use{i}({3 + i % 5});\n" for i in range(pieces)]
    parts.append("  std::printf(\"%ld\\n\", sum);\n}\n")
    return "".join(parts)
