#include "host/output_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "host/error.h"

namespace tide::host {

OutputFile::OutputFile(const std::string& path)
    : path_(path), file_(std::fopen(path.c_str(), "wbe")) {
  if (file_ == nullptr) fail();
  struct stat status {};
  is_regular_ = fstat(fileno(file_), &status) == 0 && S_ISREG(status.st_mode);
  std::setvbuf(file_, nullptr, _IOFBF, size_t{1} << 18);
}

OutputFile::~OutputFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  if (is_regular_) unlink(path_.c_str());
}

void OutputFile::write(const void* data, size_t bytes) {
  if (std::fwrite(data, 1, bytes, file_) != bytes) fail();
  offset_ += bytes;
}

void OutputFile::write_at(uint64_t offset, const void* data, size_t bytes) {
  if (fseeko(file_, static_cast<off_t>(offset), SEEK_SET) != 0 ||
      std::fwrite(data, 1, bytes, file_) != bytes || fseeko(file_, 0, SEEK_END) != 0) {
    fail();
  }
}

void OutputFile::close() {
  if (std::fflush(file_) != 0) fail();
  std::FILE* const file = file_;
  file_ = nullptr;
  if (std::fclose(file) != 0) fail();
}

void OutputFile::fail() {
  throw Error(fmt::format("cannot write '{}': {}", path_, std::strerror(errno)));
}

void require_writable(const std::string& path) {
  struct stat status {};
  const bool exists = stat(path.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) errno = EISDIR;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const bool is_good = exists ? !S_ISDIR(status.st_mode) && access(path.c_str(), W_OK) == 0
                              : access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) == 0;
  if (!is_good) throw Error(fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
}

}  // namespace tide::host
