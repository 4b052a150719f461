#include "host/mapped_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace tide::host {
namespace {

constexpr size_t kPage = 4096;

bool is_file(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

// The file's first page, as far as there is one.
std::string start_of(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  std::string bytes(kPage, '\0');
  const ssize_t got = file.get() < 0 ? 0 : pread(file.get(), bytes.data(), bytes.size(), 0);
  bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return bytes;
}

}  // namespace

bool is_mapped_file(const Mapping& mapping, const std::string& path) {
  struct stat status {};
  if (mapping.inode == 0 || stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return false;
  }
  return status.st_ino == mapping.inode &&
         fmt::format("{:02x}:{:02x}", major(status.st_dev), minor(status.st_dev)) == mapping.device;
}

ProcessRoot::ProcessRoot(const Proc& proc, int pid)
    : folder_(open(proc.path(pid, "root").c_str(), O_PATH | O_CLOEXEC)) {
  if (folder_.get() < 0) return;
  path_ = fmt::format("/proc/self/fd/{}", folder_.get());
  name_ = proc.link_target(pid, "root");
}

std::string ProcessRoot::view_of(const Proc& proc, int pid) {
  struct stat mounts {};
  struct stat root {};
  if (stat(proc.path(pid, "ns/mnt").c_str(), &mounts) != 0 ||
      stat(proc.path(pid, "root").c_str(), &root) != 0) {
    return {};
  }
  return fmt::format("{}:{}:{}", mounts.st_ino, root.st_dev, root.st_ino);
}

const ProcessRoot& MappedFiles::root() const {
  if (!root_) root_.emplace(proc_, pid_);
  return *root_;
}

// Some file systems, as overlays before Linux 6.8, name another inode in the list of mappings than
// the file has. The first page of an object file has its headers, and as a rule its build id.
bool MappedFiles::begins_alike(const Mapping& mapping, const std::string& path) const {
  if (mapping.offset != 0 || mapping.is_writable) return false;
  const std::string file = start_of(path);
  if (!file.starts_with("\177ELF")) return false;
  const FileDescriptor memory(open(proc_.path(pid_, "mem").c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes(file.size(), '\0');
  return memory.get() >= 0 &&
         pread(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(mapping.start)) ==
             static_cast<ssize_t>(bytes.size()) &&
         bytes == file;
}

std::string MappedFiles::path_of(const Mapping& mapping) const {
  if (!mapping.is_file()) return {};
  if (is_mapped_file(mapping, mapping.name)) return mapping.name;
  std::vector<std::string> places;
  const std::string& path = root().path();
  const std::string& name = root().name();
  if (!path.empty()) {
    places.push_back(path + mapping.name);
    if (name.size() > 1 && mapping.name.starts_with(name + '/')) {
      places.push_back(path + mapping.name.substr(name.size()));
    }
  }
  for (const std::string& place : places) {
    if (is_mapped_file(mapping, place)) return place;
  }
  // Both lead to files without a name, too; the first needs a privilege.
  const std::string link =
      proc_.path(pid_, fmt::format("map_files/{:x}-{:x}", mapping.start, mapping.end));
  if (is_file(link)) return link;
  const std::string program = proc_.path(pid_, "exe");
  if (is_mapped_file(mapping, program)) return program;
  places.push_back(mapping.name);
  for (const std::string& place : places) {
    if (begins_alike(mapping, place)) return place;
  }
  return {};
}

}  // namespace tide::host
