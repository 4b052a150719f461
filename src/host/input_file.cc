#include "host/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "host/error.h"

namespace tide::host {

InputFile::InputFile(const std::string& path)
    : path_(path), file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status {};
  if (file_.get() < 0 || fstat(file_.get(), &status) != 0) {
    throw Error(fmt::format("cannot open '{}': {}", path, std::strerror(errno)));
  }
  bytes_ = static_cast<uint64_t>(status.st_size);
}

void InputFile::read(uint64_t offset, void* to, size_t bytes) const {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = pread(file_.get(), at, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw Error(
          fmt::format("cannot read '{}' at offset {}: {}", path_, offset, std::strerror(errno)));
    }
    if (got == 0) fail(offset, "the file ends here");
    at += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
}

void InputFile::fail(uint64_t offset, const std::string& what) const {
  throw Error(fmt::format("'{}' is damaged at offset {}: {}", path_, offset, what));
}

}  // namespace tide::host
