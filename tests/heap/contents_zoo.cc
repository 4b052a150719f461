// Holds known numbers of objects of known classes and of containers, writes "class blocks" lines to
// the file that it is given, and waits on standard input; at its end it aborts.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace pond {

class Animal {
 public:
  virtual ~Animal() = default;
  virtual int legs() const = 0;

 private:
  uint64_t weight_ = 12;
};

class Fish : public Animal {
 public:
  int legs() const override { return 0; }
};

class Frog : public Animal {
 public:
  int legs() const override { return 4; }

 private:
  char skin_[100] = "green and wet";
};

template <class T>
class Nest : public Frog {
  T eggs_[20] = {};
};

}  // namespace pond

namespace {

class Hidden : public pond::Fish {
 public:
  int legs() const override { return -1; }
};

class Left {
 public:
  virtual ~Left() = default;
  uint64_t left_ = 1;
};
class Right {
 public:
  virtual ~Right() = default;
  uint64_t right_ = 2;
};
class Both : public Left, public Right {
 public:
  uint64_t both_[11] = {};
};

constexpr int kFish = 1000;
constexpr int kFrogs = 321;
constexpr int kNests = 45;
constexpr int kHidden = 77;
constexpr int kBoth = 60;
constexpr int kEntries = 500;
constexpr int kLost = 60;

// Everything stays reachable and is never freed.
struct Zoo {
  std::vector<void*> objects;
  std::map<uint64_t, uint64_t> map;
  std::list<uint64_t> list;
  std::unordered_map<uint64_t, uint64_t> table;
  std::deque<uint64_t> deque;
  std::forward_list<uint64_t> chain;
  std::vector<std::string> strings;
  std::vector<uint64_t> numbers;
};

template <class T>
void make(Zoo& zoo, int count) {
  for (int i = 0; i < count; ++i) zoo.objects.push_back(new T);
}

}  // namespace

int main(int argc, char** argv) {
  std::FILE* const out = argc > 1 ? std::fopen(argv[1], "w") : nullptr;
  if (out == nullptr) return 2;
  static Zoo* const zoo = new Zoo;
  make<pond::Fish>(*zoo, kFish);
  make<pond::Frog>(*zoo, kFrogs);
  make<pond::Nest<int>>(*zoo, kNests);
  make<Hidden>(*zoo, kHidden);
  make<Both>(*zoo, kBoth);
  for (int i = 0; i < 5; ++i) zoo->objects.push_back(new pond::Frog[3]);
  for (uint64_t i = 0; i < kEntries; ++i) {
    zoo->map[i * 7] = i;
    zoo->list.push_back(i);
    zoo->table[i * 11] = i;
    zoo->deque.push_back(i);
    zoo->chain.push_front(i);
    zoo->numbers.push_back(i * i);
    zoo->strings.push_back("string number " + std::to_string(i) + " of the zoo, long enough");
  }
  // Nothing leads to it any more; its nodes are a list's all the same.
  auto* const lost = new std::list<uint64_t>;
  for (uint64_t i = 0; i < kLost; ++i) lost->push_back(i);
  char* const text = static_cast<char*>(std::malloc(3000));
  for (int i = 0; i < 3000; ++i) text[i] = static_cast<char>('a' + i % 26);
  char16_t* const wide = static_cast<char16_t*>(std::malloc(5000));
  for (int i = 0; i < 2500; ++i) wide[i] = static_cast<char16_t>('a' + i % 26);
  auto* const random = static_cast<uint64_t*>(std::malloc(7000));
  uint64_t state = 88172645463325252U;
  for (int i = 0; i < 875; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    random[i] = state;
  }
  void* const zeros = std::calloc(1, 9000);

  std::fprintf(out, "class %d pond::Fish\n", kFish);
  std::fprintf(out, "class %d pond::Frog\n", kFrogs);
  std::fprintf(out, "class %d pond::Nest<int>\n", kNests);
  std::fprintf(out, "class %d (anonymous namespace)::Hidden\n", kHidden);
  std::fprintf(out, "class %d (anonymous namespace)::Both\n", kBoth);
  std::fprintf(out, "class 5 pond::Frog[]\n");
  std::fprintf(out, "kind %d map-node\n", kEntries);
  std::fprintf(out, "kind %d list-node\n", kEntries + kLost);
  std::fprintf(out, "kind %d string\n", kEntries);
  std::fprintf(out, "kind 1 unordered-map-buckets\n");
  std::fprintf(out, "kind 1 deque-map\n");
  std::fprintf(out, "kind %d unordered-map-node\n", kEntries);
  // The last one has no address in it.
  std::fprintf(out, "near %d chain-node\n", kEntries);
  const auto block = [&](const char* kind, const void* address) {
    std::fprintf(out, "block %p %s\n", address, kind);
  };
  block("text", text);
  block("wide-text", wide);
  block("random", random);
  block("zeros", zeros);
  block("vector", zoo->numbers.data());
  block("vector", zoo->strings.data());
  block("numbers", &zoo->deque.front());  // a chunk of its own
  block("string", zoo->strings.front().data());
  std::fclose(out);
  std::puts("ready");
  std::fflush(stdout);
  std::getchar();
  std::abort();
}
