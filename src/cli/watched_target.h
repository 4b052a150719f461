// A target that counts what is read of it, for a line of progress.
#pragma once

#include <memory>
#include <utility>

#include "host/progress.h"
#include "walk/target.h"

namespace tide::cli {

class WatchedTarget : public walk::Target {
 public:
  WatchedTarget(std::unique_ptr<walk::Target> under, std::shared_ptr<host::Progress> progress)
      : under_(std::move(under)), progress_(std::move(progress)) {}

  std::string name() const override { return under_->name(); }
  bool is_core() const override { return under_->is_core(); }
  const std::vector<walk::Segment>& segments() const override { return under_->segments(); }
  const std::vector<walk::Thread>& threads() const override { return under_->threads(); }
  std::string program() const override { return under_->program(); }
  std::string path_of(const walk::Segment& segment) const override {
    return under_->path_of(segment);
  }
  int thread_here(int number_inside) const override { return under_->thread_here(number_inside); }
  uint64_t cut_bytes() const override { return under_->cut_bytes(); }
  uint64_t next_touched(uint64_t address, uint64_t end) const override {
    const uint64_t touched = under_->next_touched(address, end);
    if (touched != address) progress_->add(host::Progress::Unit::kBytes, touched - address);
    return touched;
  }
  std::span<const std::byte> view(uint64_t address, size_t bytes,
                                  walk::Buffer& buffer) const override {
    const std::span<const std::byte> there = under_->view(address, bytes, buffer);
    // Small looks here and there are not what takes the time.
    if (there.size() >= kNoted) progress_->add(host::Progress::Unit::kBytes, there.size());
    return there;
  }
  void read(const std::vector<walk::Piece>& pieces) const override { under_->read(pieces); }

 private:
  static constexpr size_t kNoted = size_t{16} << 10;

  const std::unique_ptr<walk::Target> under_;
  const std::shared_ptr<host::Progress> progress_;
};

}  // namespace tide::cli
