// Random operation lists against a simple reference.
//
//   model_test [--seed N] [--seeds COUNT] [--ops N] [--page BYTES] [--limit BYTES] [--failures]
//              [--no-shrink]
//
// Runs COUNT seeds from N on, each in a process of its own. A list that fails is shrunk to one from
// which no step can be left out, and printed as code. About 100,000 steps a second in release; a
// change in the engine's slow paths is worth a run with --seeds 2000 (some minutes).
#include <sys/wait.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/model/reference.h"

namespace tide::tests {
namespace {

// Runs the list in a child; true when it ends well. Its messages are shown unless `quiet`.
bool passes(const Operations& list, const ModelOptions& options, bool quiet) {
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (quiet && freopen("/dev/null", "w", stderr) == nullptr) _exit(4);
    alarm(120);
    Model model(options);
    model.run(list);
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) != child) {
  }
  if (!quiet && WIFSIGNALED(status)) fprintf(stderr, "model: signal %d\n", WTERMSIG(status));
  return status == 0;
}

// Delta debugging: leaves out ever smaller parts as long as the rest still fails.
Operations shrink(Operations list, const ModelOptions& options) {
  int tries = 2000;
  for (size_t part = list.size() / 2; part != 0 && tries > 0; part /= 2) {
    for (size_t from = 0; from < list.size() && --tries > 0;) {
      Operations shorter(list.begin(), list.begin() + static_cast<ptrdiff_t>(from));
      const size_t to = from + part < list.size() ? from + part : list.size();
      shorter.insert(shorter.end(), list.begin() + static_cast<ptrdiff_t>(to), list.end());
      if (passes(shorter, options, true)) {
        from += part;
      } else {
        list = std::move(shorter);
      }
    }
    if (part > 1 && list.size() < part) part = list.size() + 1;
  }
  return list;
}

int run(uint64_t first, uint64_t seeds, size_t ops, ModelOptions options, bool shrinks) {
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    // Seeds differ in the engine's settings, too.
    options.thread_cache_bytes = seed % 3 == 0 ? 20'000 : size_t{1} << 20;
    options.huge_threshold_bytes = size_t{seed % 2 == 0 ? 2u : 6u} << 20;
    const Operations list = generate(seed, ops, options.with_failures);
    if (passes(list, options, false)) continue;
    printf(
        "model_test: seed %lu fails with %zu operations; again: --seed %lu --seeds 1 --ops %zu\n",
        seed, ops, seed, ops);
    if (shrinks) {
      const Operations least = shrink(list, options);
      printf("shrunk to %zu operations:\n", least.size());
      print_as_code(least, stdout);
      passes(least, options, false);
    }
    return 1;
  }
  printf("model_test: %lu seeds from %lu on, %zu operations each: good\n", seeds, first, ops);
  return 0;
}

int usage(const char* argument) {
  fprintf(stderr,
          "model_test: bad argument %s; usage: model_test [--seed N] [--seeds COUNT]\n"
          "  [--ops N] [--page BYTES] [--limit BYTES] [--failures] [--no-shrink]\n",
          argument);
  return 2;
}

}  // namespace
}  // namespace tide::tests

int main(int argc, char** argv) {
  uint64_t seed = 1;
  uint64_t seeds = 20;
  size_t ops = 4000;
  bool shrinks = true;
  tide::tests::ModelOptions options;
  for (int i = 1; i < argc; ++i) {
    const char* const name = argv[i];
    if (strcmp(name, "--failures") == 0) {
      options.with_failures = true;
      continue;
    }
    if (strcmp(name, "--no-shrink") == 0) {
      shrinks = false;
      continue;
    }
    if (i + 1 == argc) return tide::tests::usage(name);
    char* end = nullptr;
    const uint64_t value = strtoull(argv[++i], &end, 0);
    if (*end != '\0') return tide::tests::usage(argv[i]);
    if (strcmp(name, "--seed") == 0) {
      seed = value;
    } else if (strcmp(name, "--seeds") == 0) {
      seeds = value;
    } else if (strcmp(name, "--ops") == 0) {
      ops = value;
    } else if (strcmp(name, "--page") == 0) {
      options.page_bytes = value;
    } else if (strcmp(name, "--limit") == 0) {
      options.hard_limit_bytes = value;
    } else {
      return tide::tests::usage(name);
    }
  }
  return tide::tests::run(seed, seeds, ops, options, shrinks);
}
