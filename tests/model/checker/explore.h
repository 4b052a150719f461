// Runs a small program with threads again and again, until every interleaving and everything that
// each load may return has been seen. Stateless: a run is its list of choices; the next one
// differs from it in the last choice that has something left.
//
// Threads are fibers. Each stops before every access of shared memory and says what it is about to
// do; sleep sets leave out runs that only swap neighbours that don't touch the same word.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/model/checker/memory.h"

namespace checker {

// One run: made anew for each, so all state that threads share is in it.
class Model {
 public:
  virtual ~Model() = default;
  virtual void thread(uint32_t t) = 0;  // the body of thread `t`
  virtual void finish() {}              // after all threads have ended
};

struct Program {
  const char* name;
  uint32_t threads;
  std::function<Model*()> make;
};

struct Outcome {
  std::string failure;  // empty: none
  std::string trace;    // of the run that failed, a line per access
  uint64_t runs = 0;
  uint64_t pruned = 0;  // runs that were left when they turned out to be like another
  uint64_t steps = 0;
  bool is_complete = true;
};

struct Limits {
  uint64_t most_runs = UINT64_MAX;
  uint32_t most_steps = 400;  // of one run; more is a failure
};

Outcome explore(const Program& program, const Limits& limits = {});

// ---- for the models, inside a run

// Ends the run as a failure.
void require(bool condition, const char* what);
// Names the word for traces.
void name_word(uint32_t word, const char* name);
// A value of 0 to n - 1, each in some run.
uint32_t choose(uint32_t n);
// What other threads may see between two steps of something that is not memory, as system calls.
void step(const char* what);
uint32_t thread_index();

// A mutation is a mistake that is in the program on purpose: a weaker memory order at a site, or a
// change of the text by its name.
void set_mutation(const std::string& name);
bool mutated(const char* name);
// The order at a site of the code, which is recorded.
Order order_at(const char* site, Order order);
const std::map<std::string, Order>& sites();

// ---- for the words (words.h)

enum class Access : uint8_t {
  kLoad,
  kStore,
  kUpdate,
  kFence,
  kFenceAll,
  kWait,
  kWake,
  kLock,
  kStep
};
uint32_t new_word(uint64_t value);
uint64_t load(uint32_t word, Order order, bool plain);
void store(uint32_t word, uint64_t value, Order order, bool plain);
uint64_t update(uint32_t word, Order order, Order failure,
                const std::function<bool(uint64_t, uint64_t&)>& change);
void fence(Order order);
void fence_all();
void futex_wait(uint32_t word, uint64_t expected);
void futex_wake(uint32_t word, bool all);
void lock(uint32_t word);
void unlock(uint32_t word);

}  // namespace checker
