// The checker itself: small programs whose possible results are known.
#include <cstdio>
#include <functional>
#include <set>
#include <string>

#include "tests/model/checker/words.h"

namespace {

using checker::Order;
using checker::Outcome;

constexpr uint32_t kResults = 4;

struct Litmus : checker::Model {
  checker::Racy<int> x{0}, y{0};
  int r[kResults] = {};
  std::function<void(Litmus&, uint32_t)> body;
  std::set<std::string>* results;

  void thread(uint32_t t) override { body(*this, t); }
  void finish() override {
    std::string text;
    for (const int value : r) text += std::to_string(value);
    results->insert(text);
  }
};

int g_failures = 0;

void expect(const char* name, uint32_t threads, const std::function<void(Litmus&, uint32_t)>& body,
            uint32_t results, const char* impossible) {
  std::set<std::string> seen;
  const Outcome outcome = checker::explore({name, threads, [&] {
                                              auto* const model = new Litmus;
                                              model->body = body;
                                              model->results = &seen;
                                              return model;
                                            }});
  const bool ok = outcome.failure.empty() && seen.size() == results &&
                  (impossible == nullptr || seen.count(impossible) == 0);
  printf("%-40s %4zu results %6llu runs%s\n", name, seen.size(),
         static_cast<unsigned long long>(outcome.runs), ok ? "" : "  FAILED");
  if (ok) return;
  ++g_failures;
  for (const std::string& result : seen) printf("  %s\n", result.c_str());
}

template <class Between>
auto store_buffering(Between between) {
  return [between](Litmus& m, uint32_t t) {
    (t == 0 ? m.x : m.y).store(1, Order::relaxed);
    between(t);
    m.r[t] = (t == 0 ? m.y : m.x).load(Order::relaxed);
  };
}

auto message_passing(Order store, Order load) {
  return [=](Litmus& m, uint32_t t) {
    if (t == 0) {
      m.x.store(1, Order::relaxed);
      m.y.store(1, store);
    } else {
      m.r[0] = m.y.load(load);
      m.r[1] = m.x.load(Order::relaxed);
    }
  };
}

auto independent_reads(Order load, bool fence) {
  return [=](Litmus& m, uint32_t t) {
    if (t < 2) return (t == 0 ? m.x : m.y).store(1, Order::release);
    m.r[2 * t - 4] = (t == 2 ? m.x : m.y).load(load);
    if (fence) checker::fence(Order::seq_cst);
    m.r[2 * t - 3] = (t == 2 ? m.y : m.x).load(load);
  };
}

}  // namespace

int main() {
  expect("store buffering", 2, store_buffering([](uint32_t) {}), 4, nullptr);
  expect("store buffering, acq_rel fences", 2,
         store_buffering([](uint32_t) { checker::fence(Order::acq_rel); }), 4, nullptr);
  expect("store buffering, seq_cst fences", 2,
         store_buffering([](uint32_t) { checker::fence(Order::seq_cst); }), 3, "0000");
  expect("store buffering, one seq_cst fence", 2, store_buffering([](uint32_t t) {
           if (t == 0) checker::fence(Order::seq_cst);
         }),
         4, nullptr);
  expect("store buffering, membarrier by one", 2, store_buffering([](uint32_t t) {
           if (t == 0) checker::fence_all();
         }),
         3, "0000");
  expect("message passing, relaxed", 2, message_passing(Order::relaxed, Order::relaxed), 4,
         nullptr);
  expect("message passing, release only", 2, message_passing(Order::release, Order::relaxed), 4,
         nullptr);
  expect("message passing, acquire only", 2, message_passing(Order::relaxed, Order::acquire), 4,
         nullptr);
  expect("message passing", 2, message_passing(Order::release, Order::acquire), 3, "1000");
  expect(
      "message passing, fences", 2,
      [](Litmus& m, uint32_t t) {
        if (t == 0) {
          m.x.store(1, Order::relaxed);
          checker::fence(Order::release);
          m.y.store(1, Order::relaxed);
        } else {
          m.r[0] = m.y.load(Order::relaxed);
          checker::fence(Order::acquire);
          m.r[1] = m.x.load(Order::relaxed);
        }
      },
      3, "1000");
  expect("independent reads, acquire", 4, independent_reads(Order::acquire, false), 16, nullptr);
  expect("independent reads, seq_cst fences", 4, independent_reads(Order::relaxed, true), 15,
         "1010");
  expect(
      "coherent reads", 2,
      [](Litmus& m, uint32_t t) {
        if (t == 0) {
          m.x.store(1, Order::relaxed);
          m.x.store(2, Order::relaxed);
        } else {
          m.r[0] = m.x.load(Order::relaxed);
          m.r[1] = m.x.load(Order::relaxed);
        }
      },
      6, "2100");
  // 1111, each last store below the other's first, is one of them.
  expect(
      "two writes twice", 2,
      [](Litmus& m, uint32_t t) {
        (t == 0 ? m.x : m.y).store(1, Order::relaxed);
        (t == 0 ? m.y : m.x).store(2, Order::relaxed);
        checker::fence_all();
        checker::step("all stores are done");
        m.r[2 * t] = m.x.load(Order::relaxed);
        m.r[2 * t + 1] = m.y.load(Order::relaxed);
      },
      9, nullptr);
  expect(
      "updates lose nothing", 3, [](Litmus& m, uint32_t) { m.x.fetch_add(1, Order::relaxed); }, 1,
      nullptr);
  expect(
      "release sequence through an update", 3,
      [](Litmus& m, uint32_t t) {
        if (t == 0) {
          m.x.store(1, Order::relaxed);
          m.y.store(1, Order::release);
        } else if (t == 1) {
          m.y.fetch_add(2, Order::relaxed);
        } else if (m.y.load(Order::acquire) == 3) {
          m.r[0] = 1 + m.x.load(Order::relaxed);
        }
      },
      2, "1000");
  return g_failures == 0 ? 0 : 1;
}
