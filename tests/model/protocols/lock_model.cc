// src/ds/lock.h and src/api/pace.h as they are: at most one inside, whose writes the next one sees,
// and nobody sleeps for ever.
#include "ds/lock.h"

#include "api/pace.h"
#include "tests/model/checker/run_models.h"

namespace {

struct LockModel : checker::Model {
  LockModel(uint32_t times, bool first_tries) : rounds(times), tries(first_tries) {}

  void thread(uint32_t t) override {
    for (uint32_t i = 0; i < rounds; ++i) {
      if (tries && t == 0) {
        if (!lock.try_lock()) continue;
      } else {
        lock.lock();
      }
      checker::require(!inside, "two hold the lock");
      inside = true;
      protected_word = protected_word + 1;
      if (rounds > 1) checker::require(lock.is_mine(), "the holder is not known");
      inside = false;
      lock.unlock();
    }
  }

  const uint32_t rounds;
  const bool tries;
  tide::ds::Lock<tide::ds::Rank::kSlabs> lock;
  checker::Plain<int> protected_word;
  bool inside = false;
};

// The clock is the number of the round.
struct PaceModel : checker::Model {
  explicit PaceModel(uint64_t times) : rounds(times) {}

  void thread(uint32_t t) override {
    for (uint64_t now = 1; now <= rounds; ++now) {
      if (!pace.begin(now)) continue;
      checker::require(!inside, "two have begun");
      inside = true;
      done_by = static_cast<int>(t);
      inside = false;
      pace.end(now, now);
    }
  }

  const uint64_t rounds;
  tide::api::Pace pace{1};
  checker::Plain<int> done_by;
  bool inside = false;
};

checker::Program lock(const char* name, uint32_t threads, uint32_t rounds, bool tries) {
  return {name, threads, [=] { return new LockModel(rounds, tries); }};
}

}  // namespace

int main(int argc, char** argv) {
  const checker::Suite suite{
      .programs = {lock("lock, two threads twice", 2, 2, false),
                   lock("lock, one tries", 2, 2, true),
                   lock("lock, three threads", 3, 1, false),
                   {"pace, two threads twice", 2, [] { return new PaceModel(2); }},
                   {"pace, three threads", 3, [] { return new PaceModel(1); }}},
      .mutations = {"lock: nobody is woken", "lock: taken as if nobody waits",
                    "pace: begun without an exchange"},
      .unneeded = {},
  };
  return checker::run_suite(suite, argc, argv);
}
