// Shapes of small blocks in one thread: batches, sizes by power law, and what programs of several
// kinds do with their objects, strings, maps and trees.
//
// Most are modelled on a kind of program, none of them copies one. One operation is one block, or
// one step of the kind of program that the shape is.
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "shapes.h"

namespace bench = tide::bench;
using bench::between;
using bench::free_all;
using bench::Rng;
using bench::SizeTable;
using bench::take;
using bench::Work;

namespace {

uint64_t batches_mixed(const Work& work) {
  static constexpr uint32_t kMaxBytes[] = {64, 400, 1000};
  Rng rng = work.rng();
  std::vector<void*> blocks;
  uint64_t operations = 0;
  const uint64_t rounds = work.times(2000);
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint32_t order = round % 3;
    blocks.resize(between(rng, 200, 6200));
    for (void*& block : blocks) block = take(between(rng, 1, kMaxBytes[order]));
    if (order == 0) {
      free_all(blocks);
    } else if (order == 1) {
      for (size_t i = blocks.size(); i > 0; --i) std::free(blocks[i - 1]);
    } else {
      for (size_t i = 0; i < blocks.size(); i += 2) std::free(blocks[i]);
      for (size_t i = 1; i < blocks.size(); i += 2) std::free(blocks[i]);
    }
    operations += blocks.size();
  }
  return operations;
}

uint64_t batch_10k(const Work& work) {
  const uint64_t batches = work.times(1000);
  std::vector<void*> blocks(10000);
  for (uint64_t batch = 0; batch < batches; ++batch) {
    for (void*& block : blocks) block = take(100);
    free_all(blocks);
  }
  return batches * 10000;
}

uint64_t powers_many(const Work& work) {
  return bench::replace_at_random(work.rng(), 300000, work.doublings(1, 1024), work.times(1200000));
}

uint64_t churn_tiny(const Work& work) {
  return bench::replace_at_random(work.rng(), 200, work.evenly(1, 128), work.times(12000000));
}

// A number is its length and its digits. Sums and products are new ones, their terms die.
uint32_t* new_number(size_t digits) {
  auto* const number = static_cast<uint32_t*>(bench::must(std::malloc(4 + 4 * digits)));
  number[0] = static_cast<uint32_t>(digits);
  number[1] = number[0];
  return number;
}

uint64_t bignum(const Work& work) {
  Rng rng = work.rng();
  const uint64_t count = work.times(3000000);
  uint32_t* sum = new_number(4);
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t* const term = new_number(between(rng, 3, 10));
    uint32_t* const product = new_number(term[0] + sum[0] % 5);
    uint32_t* const next = new_number(product[0] + 1);
    std::free(term);
    next[1] = product[1];
    std::free(product);
    std::free(sum);
    sum = next;
  }
  std::free(sum);
  return count;
}

// Sets of 2 to 15 words: most are kept for a while, then half of those that are kept die at random.
uint64_t cover(const Work& work) {
  Rng rng = work.rng();
  const uint64_t count = work.times(6000000);
  std::vector<void*> kept;
  for (uint64_t i = 0; i < count; ++i) {
    void* const set = take(4 * between(rng, 2, 15), bench::Touch::kAll);
    if (kept.size() >= 300 && rng.below(3) == 0) {
      std::free(set);
      continue;
    }
    kept.push_back(set);
    if (kept.size() <= 600) continue;
    for (uint32_t k = 0; k < 300; ++k) {
      const uint32_t at = rng.below(static_cast<uint32_t>(kept.size()));
      std::free(kept[at]);
      kept[at] = kept.back();
      kept.pop_back();
    }
  }
  free_all(kept);
  return count;
}

struct JsonNode {
  std::string text;
  std::vector<std::unique_ptr<JsonNode>> list;
  std::map<std::string, std::unique_ptr<JsonNode>> object;
};

std::unique_ptr<JsonNode> new_json(Rng& rng, uint32_t depth, uint64_t& nodes) {
  auto node = std::make_unique<JsonNode>();
  ++nodes;
  const uint32_t kind = rng.below(4);
  if (depth == 0 || kind < 2) {
    node->text.assign(rng.below(60), 'x');
    return node;
  }
  const uint32_t children = rng.below(8);
  for (uint32_t i = 0; i < children; ++i) {
    if (kind == 2) {
      node->list.push_back(new_json(rng, depth - 1, nodes));
    } else {
      std::string key = "key" + std::to_string(rng.below(1000)) + std::string(rng.below(20), 'k');
      node->object[std::move(key)] = new_json(rng, depth - 1, nodes);
    }
  }
  return node;
}

uint64_t json(const Work& work) {
  Rng rng = work.rng();
  const uint64_t documents = work.times(1500);
  uint64_t nodes = 0;
  for (uint64_t i = 0; i < documents; ++i) {
    JsonNode document;
    for (uint32_t k = 0; k < 6; ++k) document.list.push_back(new_json(rng, 6, nodes));
  }
  return nodes;
}

uint64_t maps(const Work& work) {
  Rng rng = work.rng();
  const uint64_t count = work.times(500000);
  std::unordered_map<std::string, std::vector<uint64_t>> users;
  for (uint64_t i = 0; i < count; ++i) {
    const std::string key = "user:" + std::to_string(rng.below(10000)) + ":profile";
    std::vector<uint64_t>& visits = users[key];
    visits.push_back(i);
    if (visits.size() > 40) users.erase(key);
  }
  return count;
}

uint64_t rehash(const Work& work) {
  Rng rng = work.rng();
  const uint64_t tables = work.times(10);
  const uint64_t entries = work.times(100000);
  for (uint64_t table = 0; table < tables; ++table) {
    std::unordered_map<uint64_t, uint64_t> values;
    for (uint64_t i = 0; i < entries; ++i) values[rng.next()] = i;
  }
  return tables * entries;
}

uint64_t lru_strings(const Work& work) {
  constexpr size_t kCapacity = 10000;
  Rng rng = work.rng();
  const SizeTable sizes = work.doublings(20, 2000);
  const uint64_t count = work.times(500000);
  using Entries = std::list<std::pair<uint32_t, std::string>>;
  Entries entries;  // the youngest first
  std::unordered_map<uint32_t, Entries::iterator> index;
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t key = std::min(rng.below(3 * kCapacity), rng.below(3 * kCapacity));
    if (const auto found = index.find(key); found != index.end()) {
      entries.splice(entries.begin(), entries, found->second);
      continue;
    }
    entries.emplace_front(key, std::string(sizes.pick(rng.next()), 'v'));
    index[key] = entries.begin();
    if (entries.size() > kCapacity) {
      index.erase(entries.back().first);
      entries.pop_back();
    }
  }
  return count;
}

// As a compiler, it never frees what it has built; every third step needs a block for a moment.
uint64_t keeps_all(const Work& work) {
  Rng rng = work.rng();
  const uint64_t count = work.times(600000);
  void** last = nullptr;
  for (uint64_t i = 0; i < count; ++i) {
    const size_t words = 2 + rng.below(rng.below(8) != 0 ? 12 : 120);
    auto* const node = static_cast<void**>(take(8 * words, bench::Touch::kAll));
    *node = last;
    last = node;
    if (rng.below(3) == 0) std::free(take(between(rng, 24, 87)));
  }
  return count;
}

uint64_t appends(const Work& work) {
  Rng rng = work.rng();
  const uint64_t count = work.times(4000000);
  std::vector<std::string> texts(200);
  for (uint64_t i = 0; i < count; ++i) {
    std::string& text = texts[rng.below(200)];
    text.append(between(rng, 10, 99), 'z');
    if (text.size() > between(rng, 4000, 24000)) std::string().swap(text);
  }
  return count;
}

// Objects of six sizes, most of which die at once, and frames of some 400 bytes in a stack.
uint64_t interpreter(const Work& work) {
  static constexpr size_t kObjectBytes[] = {28, 32, 48, 56, 64, 80};
  Rng rng = work.rng();
  const uint64_t count = work.times(6000000);
  std::vector<void*> frames;
  std::vector<void*> kept(4096);
  for (uint64_t i = 0; i < count; ++i) {
    if (i % 16 == 0) {
      frames.push_back(take(360 + 8 * rng.below(30)));
      const bool returns = frames.size() > 50;
      while (returns && frames.size() > 10) {
        std::free(frames.back());
        frames.pop_back();
      }
    }
    void* const object = take(kObjectBytes[rng.below(6)]);
    if (rng.below(16) < 10) {
      std::free(object);
    } else {
      void*& slot = kept[rng.below(4096)];
      std::free(slot);
      slot = object;
    }
  }
  free_all(kept);
  free_all(frames);
  return count;
}

struct TreeNode {
  TreeNode* left;
  TreeNode* right;
};

TreeNode* new_tree(uint32_t depth) {
  auto* const node = static_cast<TreeNode*>(bench::must(std::malloc(sizeof(TreeNode))));
  node->left = depth > 0 ? new_tree(depth - 1) : nullptr;
  node->right = depth > 0 ? new_tree(depth - 1) : nullptr;
  return node;
}

uint64_t free_tree(TreeNode* node) {
  const uint64_t below = node->left == nullptr ? 0 : free_tree(node->left) + free_tree(node->right);
  std::free(node);
  return below + 1;
}

// Short-lived trees of growing depth beside one that stays.
uint64_t trees(const Work& work) {
  constexpr uint32_t kDepth = 15;
  TreeNode* const stays = new_tree(kDepth);
  uint64_t nodes = 0;
  for (uint32_t depth = 3; depth <= kDepth; depth += 4) {
    const uint64_t count = work.times(uint64_t{48} << (kDepth - depth));
    for (uint64_t i = 0; i < count; ++i) nodes += free_tree(new_tree(depth));
  }
  return nodes + free_tree(stays);
}

// A store of values that are replaced, with a request and a reply about each.
uint64_t key_value(const Work& work) {
  Rng rng = work.rng();
  const SizeTable sizes = work.doublings(80, 4000);
  const uint64_t count = work.times(300000);
  std::unordered_map<uint32_t, void*> values;
  for (uint64_t i = 0; i < count; ++i) {
    void* const value = take(sizes.pick(rng.next()));
    void*& slot = values[rng.below(50000)];
    std::free(slot);
    slot = value;
    void* const request = take(between(rng, 128, 327));
    void* const reply = take(between(rng, 1, 16384));
    std::free(request);
    std::free(reply);
  }
  for (const auto& [key, value] : values) std::free(value);
  return count;
}

struct Buffer {
  char* bytes = nullptr;
  size_t size = 0;
  size_t capacity = 0;
};

uint64_t vectors_realloc(const Work& work) {
  Rng rng = work.rng();
  const uint64_t count = work.times(3000000);
  std::vector<Buffer> buffers(500);
  for (uint64_t i = 0; i < count; ++i) {
    Buffer& buffer = buffers[rng.below(500)];
    const size_t added = between(rng, 1, 300);
    if (buffer.size + added > buffer.capacity) {
      buffer.capacity = std::max(buffer.capacity * 3 / 2, buffer.size + added);
      buffer.bytes = static_cast<char*>(bench::must(std::realloc(buffer.bytes, buffer.capacity)));
    }
    bench::touch_block(buffer.bytes + buffer.size, added, bench::Touch::kEnds);
    buffer.size += added;
    if (buffer.size > 60000 && rng.below(8) == 0) {
      std::free(buffer.bytes);
      buffer = Buffer();
    }
  }
  for (const Buffer& buffer : buffers) std::free(buffer.bytes);
  return count;
}

uint64_t calloc_small(const Work& work) {
  Rng rng = work.rng();
  const SizeTable sizes = work.doublings(24, 3000);
  const uint64_t count = work.times(3000000);
  std::vector<void*> blocks(3000);
  for (uint64_t i = 0; i < count; ++i) {
    void*& block = blocks[rng.below(3000)];
    std::free(block);
    block = bench::must(std::calloc(1, sizes.pick(rng.next())));
    bench::touch_block(block, 8, bench::Touch::kEnds);
  }
  free_all(blocks);
  return count;
}

uint64_t aligned_small(const Work& work) {
  Rng rng = work.rng();
  const uint64_t count = work.times(3000000);
  std::vector<void*> blocks(1000);
  for (uint64_t i = 0; i < count; ++i) {
    void*& block = blocks[rng.below(1000)];
    std::free(block);
    const size_t bytes = between(rng, 16, 1515);
    if (posix_memalign(&block, size_t{16} << rng.below(7), bytes) != 0) bench::fail("no memory");
    bench::touch_block(block, bytes, bench::Touch::kEnds);
  }
  free_all(blocks);
  return count;
}

constexpr bench::Shape kShapes[] = {
    {"batches_mixed", "batches of 200-6,200 blocks to 1,000 B, freed in three orders",
     batches_mixed},
    {"batch_10k", "10,000 blocks of 100 B, all freed, again", batch_10k},
    {"powers_many", "300,000 slots, 1 B-1 KiB, doublings equally likely", powers_many},
    {"churn_tiny", "200 slots, 1-128 B", churn_tiny},
    {"bignum", "sums of numbers of some ten digits, each a new block", bignum},
    {"cover", "sets of 2-15 words, kept for a while", cover},
    {"json", "trees of lists, maps and strings, built and dropped", json},
    {"maps", "a hash map of strings to vectors that grow", maps},
    {"rehash", "hash maps that grow to 100,000 entries", rehash},
    {"lru_strings", "10,000 strings of 20 B-2 KB, the longest unused dropped", lru_strings},
    {"keeps_all", "a compiler's blocks: never freed, with short-lived ones between", keeps_all},
    {"appends", "200 strings that grow to some 14 KB", appends},
    {"interpreter", "objects of 28-80 B, frames of some 400 B", interpreter},
    {"trees", "binary trees, short-lived ones beside one that stays", trees},
    {"key_value", "50,000 values of 80 B-4 KB, replaced; a request and a reply each", key_value},
    {"vectors_realloc", "500 vectors that grow by half to 60 KB by realloc", vectors_realloc},
    {"calloc_small", "3,000 slots, calloc of 24 B-3 KB", calloc_small},
    {"aligned_small", "1,000 slots, 16-1,515 B, aligned to 16 B-1 KiB", aligned_small},
};

}  // namespace

int main(int argc, char** argv) {
  return bench::shapes_main(argc, argv, "shapes_small --shape json --scale 100", kShapes);
}
