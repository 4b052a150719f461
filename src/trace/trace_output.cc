#include "trace/trace_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "host/error.h"

namespace tide::trace {

namespace fs = std::filesystem;

FolderOutput::FolderOutput(const std::string& folder) : folder_(folder) {
  std::error_code error;
  if (fs::exists(folder, error)) {
    if (!fs::is_directory(folder, error)) {
      throw host::Error(fmt::format("'{}' is there and is no folder", folder));
    }
    if (!fs::is_empty(folder, error) || error) {
      throw host::Error(
          fmt::format("the folder '{}' is not empty; remove it, or give another by -o", folder));
    }
    return;
  }
  fs::create_directories(folder, error);
  if (error) {
    throw host::Error(fmt::format("cannot make the folder '{}': {}", folder, error.message()));
  }
}

void FolderOutput::fail(const std::string& path) {
  throw host::Error(fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
}

std::string FolderOutput::path_of(const std::string& name) {
  const fs::path path = fs::path(folder_) / name;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  return path.string();
}

void FolderOutput::put(const std::string& name, std::string_view content) {
  const std::string path = path_of(name);
  const std::string fresh = path + ".new";
  std::FILE* const file = std::fopen(fresh.c_str(), "we");
  if (file == nullptr) fail(path);
  bool is_written = std::fwrite(content.data(), 1, content.size(), file) == content.size();
  is_written = std::fclose(file) == 0 && is_written;
  if (!is_written || std::rename(fresh.c_str(), path.c_str()) != 0) {
    const int cause = errno;
    std::remove(fresh.c_str());
    errno = cause;
    fail(path);
  }
}

void FolderOutput::append(const std::string& name, Bytes first, Bytes second) {
  std::unique_ptr<File>& file = files_[name];
  const std::string path = path_of(name);
  if (file == nullptr) {
    const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0) fail(path);
    const off_t end = lseek(descriptor, 0, SEEK_END);
    file = std::make_unique<File>(descriptor, end < 0 ? 0 : static_cast<uint64_t>(end));
  }
  const auto part = [](Bytes bytes) {
    return iovec{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  };
  iovec parts[2] = {part(first), part(second)};
  iovec* at = parts;
  while (at != parts + 2) {
    if (at->iov_len == 0) {
      ++at;
      continue;
    }
    const ssize_t written = writev(file->descriptor.get(), at, static_cast<int>(parts + 2 - at));
    if (written < 0) {
      if (errno == EINTR) continue;
      // Half a chunk is worth nothing.
      const int cause = errno;
      const bool is_cut = ftruncate(file->descriptor.get(), static_cast<off_t>(file->bytes)) == 0;
      errno = is_cut ? cause : errno;
      fail(path);
    }
    auto left = static_cast<size_t>(written);
    for (; at != parts + 2 && left >= at->iov_len; ++at) left -= at->iov_len;
    if (at == parts + 2) break;
    at->iov_base = static_cast<char*>(at->iov_base) + left;
    at->iov_len -= left;
  }
  file->bytes += first.size() + second.size();
  count(first.size() + second.size());
}

}  // namespace tide::trace
