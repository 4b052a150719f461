#include "fleet/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "host/error.h"

namespace tide::fleet {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnd = ".batch";
constexpr std::string_view kUnfinished = ".part";

int open_lock(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw host::Error(fmt::format("the spool '{}' can't be made: {}", folder, error.message()));
  }
  const std::string path = folder + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    throw host::Error(
        fmt::format("the spool '{}' can't be written: {}", folder, std::strerror(errno)));
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    throw host::Error(fmt::format(
        "another tide agent uses the spool '{}'; give this one another with --spool", folder));
  }
  return fd;
}

[[noreturn]] void fail_write(const std::string& path) {
  const int error = errno;
  unlink(path.c_str());
  throw host::Error(fmt::format("'{}' can't be written: {}", path, std::strerror(error)));
}

}  // namespace

void write_durably(const std::string& path, std::string_view content) {
  const host::FileDescriptor file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.get() < 0) fail_write(path);
  while (!content.empty()) {
    const ssize_t count = write(file.get(), content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail_write(path);
    content.remove_prefix(static_cast<size_t>(count));
  }
  if (fsync(file.get()) != 0) fail_write(path);
}

namespace {

void sync_folder(const std::string& folder) {
  const host::FileDescriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0) fsync(fd.get());
}

}  // namespace

Spool::Spool(const std::string& folder, uint64_t most_bytes)
    : folder_(folder), most_bytes_(most_bytes), lock_(open_lock(folder)) {
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.path().extension() == kUnfinished) fs::remove(entry.path());
  }
  for (const std::string& name : names()) {
    uint64_t number = 0;
    std::from_chars(name.data(), name.data() + name.size(), number);
    last_number_ = std::max(last_number_, number);
  }
}

std::vector<std::string> Spool::names() const {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (entry.path().extension() == kEnd) found.push_back(entry.path().filename().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

Spool::Content Spool::content() const {
  const std::lock_guard guard(mutex_);
  Content content;
  std::error_code error;
  for (const std::string& name : names()) {
    const uint64_t bytes = fs::file_size(folder_ + "/" + name, error);
    if (error) continue;
    ++content.batches;
    content.bytes += bytes;
  }
  return content;
}

std::string Spool::next_name(const std::string& end) {
  return fmt::format("{:016}-{}{}", ++last_number_, end, kEnd);
}

std::string Spool::unfinished_path(const std::string& name) const {
  return fmt::format("{}/{}{}", folder_, name, kUnfinished);
}

bool Spool::put(const Batch& batch) {
  const std::string path = unfinished_path(batch.id);
  write_durably(path, encode(batch));
  return adopt(path);
}

bool Spool::adopt(const std::string& path) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(path, error);
  if (error || content().bytes + bytes > most_bytes_) {
    fs::remove(path, error);
    return false;
  }
  const std::lock_guard guard(mutex_);
  const std::string target = folder_ + "/" + next_name(fs::path(path).stem().string());
  if (rename(path.c_str(), target.c_str()) != 0) fail_write(path);
  sync_folder(folder_);
  return true;
}

std::optional<Spool::Entry> Spool::oldest(std::vector<std::string>& complaints) {
  const std::lock_guard guard(mutex_);
  for (const std::string& name : names()) {
    const std::string path = folder_ + "/" + name;
    std::ifstream in(path, std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(in)), {});
    if (in.bad() || !in.is_open()) {
      throw host::Error(fmt::format("'{}' can't be read: {}", path, std::strerror(errno)));
    }
    try {
      return Entry{name, decode(content)};
    } catch (const host::Error& error) {
      complaints.push_back(fmt::format("'{}' is set aside: {}", path, error.what()));
      std::error_code ignored;
      fs::rename(path, path + ".bad", ignored);
    }
  }
  return std::nullopt;
}

void Spool::remove(const std::string& name) {
  const std::lock_guard guard(mutex_);
  std::error_code ignored;
  fs::remove(folder_ + "/" + name, ignored);
}

}  // namespace tide::fleet
