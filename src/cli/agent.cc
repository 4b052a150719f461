#include "cli/agent.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "host/byte_text.h"
#include "host/error.h"
#include "host/output_file.h"
#include "host/terminal.h"

namespace tide::cli {
namespace {

// A page is at most so old.
constexpr uint64_t kFreshNs = 1'000'000'000;
constexpr const char* kTextfile = "tide.prom";

std::string profile_file(const fleet::Spool& spool) {
  return spool.unfinished_path("profiles-" + std::to_string(getpid()));
}

}  // namespace

void agent_says(const std::string& line) {
  fmt::print(stderr, "tide agent: {}\n", host::printable(line));
}

Agent::Agent(const AgentSettings& settings)
    : settings_(settings), proc_(settings.proc_folder), processes_(proc_, settings.host) {}

void Agent::ship(fleet::Spool& spool, fleet::Shipper& shipper) {
  spool_ = &spool;
  shipper_ = &shipper;
  if (settings_.profiles_every_ns != 0) profiles_.emplace(settings_.host, profile_file(spool));
}

void Agent::look_locked() {
  seen_ = processes_.look();
  seen_ns_ = now_since_1970();
  process_count_ = seen_.size();
}

void Agent::turn() {
  const std::lock_guard guard(mutex_);
  look_locked();
  if (spool_ != nullptr) {
    put_statistics_locked();
    collect_profiles_locked();
  }
  if (!settings_.textfile_folder.empty()) write_textfile(text_locked());
}

std::string Agent::page() {
  const std::lock_guard guard(mutex_);
  if (now_since_1970() - seen_ns_ > kFreshNs) look_locked();
  return text_locked();
}

std::string Agent::text_locked() {
  std::vector<AgentMetric> own = {
      {"processes", seen_.size(), "processes on Tide"},
      {"denied_processes", processes_.denied(), "processes that may not be read"}};
  if (spool_ != nullptr) {
    const fleet::Spool::Content content = spool_->content();
    const fleet::Shipper::Figures figures = shipper_->figures();
    own.push_back({"spool_batches", content.batches, "batches that wait for the database"});
    own.push_back({"spool_bytes", content.bytes, "bytes of them"});
    own.push_back(
        {"shipped_batches_total", figures.shipped_batches, "batches that the database has taken"});
    own.push_back({"ship_failures_total", figures.failures, "attempts that failed"});
    own.push_back({"refused_batches_total", refused_batches_,
                   "batches that were lost because the spool was full"});
  }
  return prometheus_text(seen_, own);
}

void Agent::put_locked(bool is_taken) {
  if (is_taken) {
    shipper_->wake();
    if (is_full_) agent_says("the spool has room again");
    is_full_ = false;
    return;
  }
  ++refused_batches_;
  if (!is_full_) {
    agent_says(fmt::format(
        "the spool '{}' is full ({}): what it has is kept, what comes now is lost until the "
        "database takes something; more room: --spool-size",
        spool_->folder(), host::byte_text(spool_->most_bytes())));
  }
  is_full_ = true;
}

void Agent::put_statistics_locked() {
  fleet::Batch batch{fleet::new_batch_id(), settings_.host, {}};
  if (!is_host_described_) add_host(settings_.host, batch);
  std::set<int64_t> described;
  for (const AgentProcess* const process : seen_) {
    const FleetLabels& labels = process->labels;
    described.insert(labels.process);
    if (described_.count(labels.process) == 0) {
      batch.rows(fleet::TableId::kProcesses)
          .add({labels.process, labels.host, int64_t{process->pid}, labels.command,
                labels.container, process->group, int64_t{process->pid_inside}, labels.service,
                labels.version, process->program, process->library_version,
                static_cast<int64_t>(seen_ns_)});
    }
    add_statistics(labels, seen_ns_, process->rss_bytes, process->figures.totals, batch);
    for (const tide_class_stats& entry : process->figures.classes) {
      if (entry.slabs != 0) add_size_class(labels, seen_ns_, entry, batch);
    }
  }
  if (batch.empty()) return;
  bool is_taken = false;
  try {
    is_taken = spool_->put(batch);
  } catch (const host::Error& error) {
    ++refused_batches_;
    agent_says(error.what());
    return;
  }
  put_locked(is_taken);
  if (!is_taken) return;
  is_host_described_ = true;
  described_ = std::move(described);
}

void Agent::collect_profiles_locked() {
  if (!profiles_) return;
  if (profiles_->is_done()) put_locked(spool_->adopt(profile_file(*spool_)));
  if (seen_ns_ < next_profiles_ns_) return;
  next_profiles_ns_ = seen_ns_ + settings_.profiles_every_ns;
  std::vector<int> pids;
  for (const AgentProcess* const process : seen_) {
    if (process->is_sampled) pids.push_back(process->pid);
  }
  profiles_->start(pids);
}

// Renamed at the end: who reads the folder sees the file whole or not at all.
void Agent::write_textfile(const std::string& text) {
  const std::string path = settings_.textfile_folder + "/" + kTextfile;
  const std::string unfinished = fmt::format("{}.{}", path, getpid());
  try {
    host::OutputFile file(unfinished);
    file.write(text);
    file.close();
    if (rename(unfinished.c_str(), path.c_str()) != 0) {
      const int fault = errno;
      unlink(unfinished.c_str());
      throw host::Error(fmt::format("'{}' can't be written: {}", path, std::strerror(fault)));
    }
    has_textfile_failed_ = false;
  } catch (const host::Error& error) {
    if (!has_textfile_failed_) agent_says(error.what());
    has_textfile_failed_ = true;
  }
}

}  // namespace tide::cli
