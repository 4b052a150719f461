#include "cli/dump_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "host/error.h"

namespace tide::cli {
namespace {

constexpr size_t kStep = 1 << 20;
constexpr uint64_t kPage = 4096;
constexpr const char* kIndex = "index.ndjson";

[[noreturn]] void fail(const std::string& path, int fault) {
  throw host::Error(fmt::format("dump: cannot write '{}': {}", path, std::strerror(fault)));
}

std::FILE* open_file(const std::string& path, const char* mode) {
  std::FILE* const file = std::fopen(path.c_str(), mode);
  if (file == nullptr) fail(path, errno);
  return file;
}

}  // namespace

DumpFiles::DumpFiles(const std::string& folder, bool may_replace) : folder_(folder) {
  std::error_code fault;
  std::filesystem::create_directories(folder, fault);
  if (fault) throw host::Error(fmt::format("dump: cannot make '{}': {}", folder, fault.message()));
  if (!std::filesystem::is_empty(folder, fault) && !may_replace) {
    throw host::Error(
        fmt::format("dump: '{}' is not empty; name another with -o, or use --force", folder));
  }
  index_.reset(open_file(folder_ + "/" + kIndex, "wb"));
}

std::string DumpFiles::path_of(uint64_t bytes) const {
  return fmt::format("{}/{}.bytes", folder_, bytes);
}

std::FILE* DumpFiles::file_of(uint64_t bytes) {
  const auto known =
      std::find_if(open_.begin(), open_.end(), [&](const OpenFile& o) { return o.bytes == bytes; });
  if (known != open_.end()) {
    open_.splice(open_.begin(), open_, known);
    return open_.front().file.get();
  }
  if (open_.size() == kMostOpen) {
    close(std::move(open_.back().file), path_of(open_.back().bytes));
    open_.pop_back();
  }
  const std::string path = path_of(bytes);
  File file(open_file(path, sizes_.contains(bytes) ? "ab" : "wb"));
  open_.push_front({bytes, std::move(file)});
  return open_.front().file.get();
}

void DumpFiles::write(std::FILE* file, const std::string& path, const void* bytes, size_t count) {
  if (std::fwrite(bytes, 1, count, file) != count) fail(path, errno);
}

void DumpFiles::close(File file, const std::string& path) {
  if (std::fclose(file.release()) != 0) fail(path, errno);
}

uint64_t DumpFiles::add(const walk::Target& target, uint64_t address, uint64_t bytes) {
  std::FILE* const file = file_of(bytes);
  const std::string path = path_of(bytes);
  uint64_t& offset = sizes_[bytes];
  uint64_t missing = 0;
  for (uint64_t at = 0; at < bytes;) {
    const auto part = target.view(address + at, std::min<uint64_t>(kStep, bytes - at), buffer_);
    if (!part.empty()) {
      write(file, path, part.data(), part.size());
      at += part.size();
      continue;
    }
    // Up to the next page, which may be there again.
    static const std::vector<std::byte> kZeros(kPage);
    const uint64_t gap = std::min(bytes - at, kPage - (address + at) % kPage);
    write(file, path, kZeros.data(), gap);
    missing += gap;
    at += gap;
  }
  std::string line =
      fmt::format("{{\"address\":\"{:#x}\",\"size\":{},\"file\":\"{}.bytes\",\"offset\":{}",
                  address, bytes, bytes, offset);
  if (missing != 0) line += fmt::format(",\"missing\":{}", missing);
  line += "}\n";
  write(index_.get(), folder_ + "/" + kIndex, line.data(), line.size());
  offset += bytes;
  return missing;
}

void DumpFiles::finish() {
  for (OpenFile& file : open_) close(std::move(file.file), path_of(file.bytes));
  open_.clear();
  close(std::move(index_), folder_ + "/" + kIndex);
}

}  // namespace tide::cli
