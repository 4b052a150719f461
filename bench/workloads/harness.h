// What every workload program shares: options, a seeded generator, size choices, and the one JSON
// line that bench/compare reads.
//
// Owns: the meaning of the fields of that line (see Meter::report) and of the common options
// --seed and --help. Used by: the programs of this folder only; they run on whatever allocator is
// preloaded, so nothing here knows Tide. Memory for bookkeeping is taken before Meter::start.
// Not here: which programs run with which arguments (see benchlib/workloads.py), statistics.
#pragma once

#include <dlfcn.h>
#include <malloc.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tide::bench {

[[noreturn]] inline void fail(const std::string& message, int status = 1) {
  std::fprintf(stderr, "bench: %s\n", message.c_str());
  std::exit(status);
}

// splitmix64: one multiply chain, no memory, so that the generator stays small beside malloc.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull + 0x632be59bd9b4e019ull) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  // In [0, bound), bound below 2^32.
  uint32_t below(uint32_t bound) {
    return static_cast<uint32_t>(((next() >> 32) * static_cast<uint64_t>(bound)) >> 32);
  }

  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

// Sizes drawn ahead of time, so that a draw costs one load whatever the distribution is.
class SizeTable {
 public:
  static constexpr uint32_t kEntries = 4096;

  // Log-uniform: each doubling of the size is equally likely. Otherwise each byte count is.
  SizeTable(size_t min_bytes, size_t max_bytes, bool log_uniform, uint64_t seed)
      : sizes_(kEntries) {
    if (min_bytes == 0 || max_bytes < min_bytes) fail("sizes need 0 < min <= max", 2);
    Rng rng(seed);
    const double low = static_cast<double>(min_bytes);
    const double high = static_cast<double>(max_bytes) + 1.0;
    // One draw per equal share of the distribution: the mix does not depend on the seed's luck.
    for (uint32_t i = 0; i < kEntries; ++i) {
      const double at = (i + rng.unit()) / kEntries;
      const double bytes = log_uniform ? low * std::pow(high / low, at) : low + (high - low) * at;
      sizes_[i] = static_cast<size_t>(bytes);
    }
  }

  size_t pick(uint64_t random_bits) const { return sizes_[random_bits % kEntries]; }

 private:
  std::vector<size_t> sizes_;
};

inline void* must(void* block) {
  if (block == nullptr) fail("out of memory");
  return block;
}

enum class Touch { kEnds, kPages, kAll };

// Writes what the flag says; the first word always. Volatile keeps the stores.
inline void touch_block(void* block, size_t bytes, Touch how) {
  volatile char* const at = static_cast<volatile char*>(block);
  at[0] = 1;
  at[bytes - 1] = 2;
  if (how == Touch::kPages) {
    for (size_t i = 4096; i < bytes; i += 4096) at[i] = 3;
  } else if (how == Touch::kAll) {
    std::memset(block, 4, bytes);
  }
}

inline double seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// A field of a /proc file in the form "Name:   123 kB"; 0 when it is missing.
inline uint64_t proc_kib(const char* path, const char* field) {
  std::FILE* const file = std::fopen(path, "re");
  if (file == nullptr) return 0;
  char line[256];
  uint64_t value = 0;
  const size_t length = std::strlen(field);
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, field, length) == 0 && line[length] == ':') {
      value = std::strtoull(line + length + 1, nullptr, 10);
      break;
    }
  }
  std::fclose(file);
  return value;
}

inline uint64_t rss_kib() { return proc_kib("/proc/self/status", "VmRSS"); }
inline uint64_t peak_rss_kib() { return proc_kib("/proc/self/status", "VmHWM"); }

// Options of the form --name value or --name=value, and flags, which have none. Each getter also
// adds a line of help.
class Options {
 public:
  Options(int argc, char** argv, const char* example, const char* about)
      : program_(argv[0]), example_(example), about_(about) {
    for (int i = 1; i < argc; ++i) {
      std::string word = argv[i];
      if (word == "--help") {
        help_ = true;
        continue;
      }
      if (word.rfind("--", 0) != 0) fail("'" + word + "' is no option; see --help", 2);
      word.erase(0, 2);
      if (const size_t equals = word.find('='); equals != std::string::npos) {
        given_.push_back({word.substr(0, equals), word.substr(equals + 1)});
      } else if (i + 1 < argc && std::strncmp(argv[i + 1], "--", 2) != 0) {
        given_.push_back({word, argv[++i]});
      } else {
        given_.push_back({word, std::nullopt});
      }
    }
  }

  std::string text(const char* name, const char* default_value, const char* meaning) {
    lines_ += std::string("  --") + name + " (" + default_value + ")  " + meaning + "\n";
    std::string value = default_value;
    for (auto it = given_.begin(); it != given_.end();) {
      if (it->first != name) {
        ++it;
        continue;
      }
      if (!it->second) fail(std::string("--") + name + " needs a value", 2);
      value = *it->second;
      it = given_.erase(it);
    }
    return value;
  }

  bool flag(const char* name, const char* meaning) {
    lines_ += std::string("  --") + name + "  " + meaning + "\n";
    const auto is_mine = [&](const auto& option) { return option.first == name && !option.second; };
    const auto end = std::remove_if(given_.begin(), given_.end(), is_mine);
    const bool is_given = end != given_.end();
    given_.erase(end, given_.end());
    return is_given;
  }

  // A count or a size: 4096, 64K, 8M, 1G.
  uint64_t number(const char* name, const char* default_value, const char* meaning) {
    const std::string value = text(name, default_value, meaning);
    char* end = nullptr;
    uint64_t number = std::strtoull(value.c_str(), &end, 10);
    if (*end == 'K')
      number <<= 10, ++end;
    else if (*end == 'M')
      number <<= 20, ++end;
    else if (*end == 'G')
      number <<= 30, ++end;
    if (value.empty() || value[0] == '-' || *end != '\0') {
      fail(std::string("--") + name + ": '" + value + "' is no number", 2);
    }
    return number;
  }

  double real(const char* name, const char* default_value, const char* meaning) {
    const std::string value = text(name, default_value, meaning);
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (value.empty() || *end != '\0')
      fail(std::string("--") + name + ": '" + value + "' is no number", 2);
    return number;
  }

  Touch touch(const char* default_value) {
    const std::string value = text("touch", default_value, "bytes written: ends, pages or all");
    if (value == "ends") return Touch::kEnds;
    if (value == "pages") return Touch::kPages;
    if (value == "all") return Touch::kAll;
    fail("--touch: '" + value + "' is none of ends, pages, all", 2);
  }

  uint64_t seed() { return number("seed", "1", "seed of the random choices"); }

  // Call after the last getter: prints the help, or refuses what nobody asked for.
  void finish() {
    if (help_) {
      std::printf("Example: %s\n\n%s\n\n%s", example_, about_, lines_.c_str());
      std::exit(0);
    }
    if (!given_.empty())
      fail("unknown option --" + given_[0].first + "; see " + program_ + " --help", 2);
  }

 private:
  std::string program_;
  const char* example_;
  const char* about_;
  std::string lines_;
  std::vector<std::pair<std::string, std::optional<std::string>>> given_;
  bool help_ = false;
};

// Measures one phase and prints the line that bench/compare reads.
class Meter {
 public:
  explicit Meter(const char* program) : program_(program) {}

  void start() {
    getrusage(RUSAGE_SELF, &before_);
    begin_ = seconds_now();
  }

  void stop(double at = seconds_now()) {
    end_ = at;
    getrusage(RUSAGE_SELF, &after_);
  }

  // For a program whose work is done by child processes: counts their CPU time and faults as its
  // own.
  void add_children(const rusage& before, const rusage& after) {
    children_cpu_ = cpu(after) - cpu(before);
    after_.ru_minflt += after.ru_minflt - before.ru_minflt;
    after_.ru_majflt += after.ru_majflt - before.ru_majflt;
  }

  // A figure of this program's own, e.g. the bytes that were live at some point.
  void add(const char* name, double value) {
    char field[128];
    std::snprintf(field, sizeof field, ", \"%s\": %.6g", name, value);
    extra_ += field;
  }

  // A list of whole numbers: value(i) for i below count.
  template <class Value>
  void add_list(const char* name, size_t count, Value value) {
    extra_ += std::string(", \"") + name + "\": [";
    for (size_t i = 0; i < count; ++i) extra_ += (i == 0 ? "" : ", ") + std::to_string(value(i));
    extra_ += ']';
  }

  // ops: units of work done between start and stop. End RSS is taken here, so call it when all
  // blocks are freed. Peak RSS is that of the whole process.
  void report(uint64_t ops) {
    const uint64_t end_rss = rss_kib();
    const uint64_t lazy_free = proc_kib("/proc/self/smaps_rollup", "LazyFree");
    std::printf(
        "{\"program\": \"%s\", \"ops\": %llu, \"wall_s\": %.6f, \"cpu_s\": %.6f, "
        "\"peak_rss_kib\": %llu, \"end_rss_kib\": %llu, \"end_lazyfree_kib\": %llu, "
        "\"minor_faults\": %ld, \"major_faults\": %ld, \"malloc_from\": \"%s\"%s}\n",
        program_, static_cast<unsigned long long>(ops), end_ - begin_,
        cpu(after_) - cpu(before_) + children_cpu_, static_cast<unsigned long long>(peak_rss_kib()),
        static_cast<unsigned long long>(end_rss), static_cast<unsigned long long>(lazy_free),
        after_.ru_minflt - before_.ru_minflt, after_.ru_majflt - before_.ru_majflt,
        malloc_library(), extra_.c_str());
    std::fflush(stdout);
  }

 private:
  static double cpu(const rusage& use) {
    return static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
  }

  // File name of the library whose malloc this process calls: the proof that a preload took.
  static const char* malloc_library() {
    Dl_info info{};
    void* const symbol = dlsym(RTLD_DEFAULT, "malloc");
    if (symbol == nullptr || dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return "";
    const char* const slash = std::strrchr(info.dli_fname, '/');
    return slash == nullptr ? info.dli_fname : slash + 1;
  }

  const char* program_;
  std::string extra_;
  rusage before_{};
  rusage after_{};
  double children_cpu_ = 0;
  double begin_ = 0;
  double end_ = 0;
};

}  // namespace tide::bench
