// The memory of a running process, read with process_vm_readv: the process is not stopped and does
// not notice.
#pragma once

#include "host/proc.h"
#include "walk/memory_source.h"

namespace tide::walk {

class LiveMemory : public MemorySource {
 public:
  LiveMemory(const host::Proc& proc, int pid) : proc_(proc), pid_(pid) {}
  void read(const std::vector<Piece>& pieces) const override;

 private:
  const host::Proc& proc_;
  int pid_;
};

}  // namespace tide::walk
