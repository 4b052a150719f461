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

// What is "/" for a process, held open: what is under it can be opened when the process has ended,
// too.
class ProcessRoot {
 public:
  ProcessRoot(const Proc& proc, int pid);

  // Where that can be reached here; empty: nowhere for this user.
  const std::string& path() const { return path_; }
  // Its name as the list of mappings has it: "/", unless the process has only changed its root.
  const std::string& name() const { return name_; }

  // Says which files the process's paths lead to: the same text, the same files. Empty: not to be
  // seen.
  static std::string view_of(const Proc& proc, int pid);

 private:
  FileDescriptor folder_;
  std::string path_;
  std::string name_;
};

class MappedFiles {
 public:
  MappedFiles(Proc proc, int pid) : proc_(std::move(proc)), pid_(pid) {}

  // A path at which the file of that mapping can be opened; empty: there is none for this user.
  // Good as long as this object is there, also when the process has ended; where the file has no
  // name any more, as long as the process has it mapped.
  std::string path_of(const Mapping& mapping) const;

 private:
  const ProcessRoot& root() const;
  bool begins_alike(const Mapping& mapping, const std::string& path) const;

  const Proc proc_;
  int pid_;
  mutable std::optional<ProcessRoot> root_;  // opened when it is first needed
};

}  // namespace tide::host
