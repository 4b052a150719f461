#include "inspect/parallel.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace tide::inspect {
namespace {

// More would not be quicker: memory is what the work waits for.
constexpr unsigned kMostThreads = 8;

}  // namespace

void share_out(uint32_t count, const std::function<void(Pieces&)>& work) {
  Pieces pieces(count);
  std::mutex mutex;
  std::exception_ptr failure;
  const auto guarded = [&] {
    try {
      work(pieces);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (failure == nullptr) failure = std::current_exception();
      pieces.stop();
    }
  };
  {
    const unsigned threads = std::min({std::thread::hardware_concurrency(), kMostThreads, count});
    std::vector<std::jthread> others;
    try {
      for (unsigned i = 1; i < threads; ++i) others.emplace_back(guarded);
    } catch (const std::system_error&) {
      // Fewer will do.
    }
    guarded();
  }
  if (failure != nullptr) std::rethrow_exception(failure);
}

}  // namespace tide::inspect
