#include "cli/agent_profiles.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>

#include "cli/agent_processes.h"
#include "cli/profile_source.h"
#include "fleet/spool.h"
#include "host/error.h"
#include "host/symbol_cache.h"
#include "profile/names.h"

namespace tide::cli {
namespace {

// So that this process stays as small as the agent.
constexpr host::SymbolCache::Bounds kNarrow{.unpacked_bytes = uint64_t{4} << 20,
                                            .unit_bytes = uint64_t{256} << 10,
                                            .resident_bytes = uint64_t{14} << 20};

void add_profile_of(const host::Proc& proc, const std::string& host, int pid,
                    const std::shared_ptr<host::SymbolCache>& cache, fleet::Batch& batch) {
  const auto process = AgentProcesses::describe(proc, host, pid, *cache);
  const auto heap = walk::LiveHeap::open(pid);
  if (!process || heap == nullptr || heap->reader().profile_address() == 0) return;
  const uint64_t now = now_since_1970();
  const profile::Profile profile = LiveProfile(pid).read_with_all_pages();
  profile::Names names(profile, cache);
  // In their order in the files, so that what has to be read for one is still there for the next.
  const std::set<uint64_t> addresses(profile.frames.begin(), profile.frames.end());
  for (const uint64_t address : addresses) names.places(address);
  add_profile(process->labels, now, profile, names, batch);
}

// What the process before this one has named, beside the batches. It goes with the agent; one that
// is killed leaves it to the next, which removes it like an unfinished batch.
std::string names_file(const std::string& path) {
  const std::filesystem::path beside(path);
  return beside.parent_path() / (beside.stem().string() + "-names" + beside.extension().string());
}

}  // namespace

void write_profiles(const host::Proc& proc, const std::string& host, const std::string& path,
                    const std::vector<int>& pids) {
  fleet::Batch batch{fleet::new_batch_id(), host, {}};
  const std::string names_path = names_file(path);
  const auto cache = std::make_shared<host::SymbolCache>(kNarrow);
  std::ifstream names(names_path, std::ios::binary);
  cache->learn(std::string((std::istreambuf_iterator<char>(names)), {}));
  for (const int pid : pids) {
    try {
      add_profile_of(proc, host, pid, cache, batch);
    } catch (const host::Error&) {
      // It has ended, or is at its tables all the time: the next profile has it again.
    }
  }
  if (const std::string news = cache->news(); !news.empty()) {
    fleet::write_durably(names_path, news);
  }
  if (!batch.empty()) fleet::write_durably(path, fleet::encode(batch));
}

ProfileCollector::~ProfileCollector() {
  if (child_ != 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  unlink(path_.c_str());
  unlink(names_file(path_).c_str());
}

void ProfileCollector::start(const std::vector<int>& pids) {
  if (child_ != 0 || pids.empty()) return;
  std::vector<std::string> words = {"tide", "agent", "--host", host_, "--profiles-to", path_};
  for (const int pid : pids) words.push_back(std::to_string(pid));
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments.data(), environ) == 0) {
    child_ = child;
  }
}

bool ProfileCollector::is_done() {
  if (child_ == 0) return false;
  int status = 0;
  if (waitpid(child_, &status, WNOHANG) != child_) return false;
  child_ = 0;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 && access(path_.c_str(), F_OK) == 0;
}

}  // namespace tide::cli
