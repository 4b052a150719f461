#include "trace/process_sampler.h"

namespace tide::trace {

using format::ProcessSlot;
using format::ProcessState;

ProcessSampler::ProcessSampler(ArenaOwner& arena) : arena_(arena), thread_([this] { run(); }) {}

ProcessSampler::~ProcessSampler() {
  {
    const std::lock_guard lock(mutex_);
    must_stop_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void ProcessSampler::run() {
  std::unique_lock lock(mutex_);
  Clock::time_point next = Clock::now();
  while (!must_stop_) {
    look_for_processes();
    const Clock::time_point now = Clock::now();
    for (auto& [number, process] : processes_) sample(process, now);
    // After a time without a CPU there is nothing to make up for.
    next = std::max(next + kFirstStep, now);
    stopped_.wait_until(lock, next, [&] { return must_stop_; });
  }
}

void ProcessSampler::look_for_processes() {
  const format::TraceArena& arena = arena_.arena();
  if (arena.next_process.load(std::memory_order_relaxed) == seen_.size()) return;
  for (uint32_t i = 0; i < arena.process_count; ++i) {
    const ProcessSlot& slot = arena_.slot(i);
    if (slot.state.load(std::memory_order_acquire) != ProcessState::kLive) continue;
    if (!seen_.insert(slot.number).second) continue;
    processes_.try_emplace(slot.number, arena_.process_of(slot), arena.bytes);
  }
}

void ProcessSampler::sample(Process& process, Clock::time_point now) {
  if (process.is_over || now < process.next) return;
  Sample sample{};
  if (!process.memory.read(sample.memory)) {
    process.is_over = true;
    return;
  }
  sample.tick = arena_.read_clock().tick;
  process.samples.push_back(sample);
  const uint64_t doublings = std::min<uint64_t>(++process.taken / kAtOneStep, 16);
  // A little early is better than one round too late.
  process.next = now + kFirstStep * (uint64_t{1} << doublings) - kFirstStep / 2;
}

std::vector<ProcessSampler::Sample> ProcessSampler::take(uint32_t number) {
  const std::lock_guard lock(mutex_);
  std::vector<Sample> result;
  const auto found = processes_.find(number);
  if (found != processes_.end()) result.swap(found->second.samples);
  return result;
}

std::vector<ProcessSampler::Sample> ProcessSampler::finish(uint32_t number) {
  std::vector<Sample> result = take(number);
  const std::lock_guard lock(mutex_);
  processes_.erase(number);
  return result;
}

}  // namespace tide::trace
