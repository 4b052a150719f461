// The files that a process has mapped, and where they can be opened. A path that the system names
// for a mapping may lead to another file here, or to none: the process may be in a container, and
// its files may have been replaced since it started. What is opened is the very file that is
// mapped.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "host/file_descriptor.h"
#include "host/proc.h"
#include "host/process_maps.h"

namespace tide::host {

// Whether the file at `path` is the one that is mapped, by device and inode.
bool is_mapped_file(const Mapping& mapping, const std::string& path);

class MappedFiles {
 public:
  MappedFiles(Proc proc, int pid) : proc_(std::move(proc)), pid_(pid) {}

  // A path at which the file of that mapping can be opened; empty: there is none for this user.
  // Good as long as this object is there, also when the process has ended; where the file has no
  // name any more, as long as the process has it mapped.
  std::string path_of(const Mapping& mapping) const;

 private:
  const std::string& root() const;
  bool begins_alike(const Mapping& mapping, const std::string& path) const;

  const Proc proc_;
  int pid_;
  // What is "/" for the process: opened when it is first needed.
  mutable bool has_root_ = false;
  mutable std::optional<FileDescriptor> root_;
  mutable std::string root_path_;  // by which it is reached here
  mutable std::string root_name_;  // which names in the list of mappings may begin with
};

}  // namespace tide::host
