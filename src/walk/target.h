// What a walk looks at: a live process or a core. Its memory, what is mapped where, its threads.
//
// Nothing in it can be trusted: a core may be cut off, damaged or made up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "walk/memory_source.h"

namespace tide::walk {

using Buffer = std::vector<std::byte>;

// A range of addresses [start, end) of one kind.
struct Segment {
  uint64_t start = 0;
  uint64_t end = 0;
  bool is_readable = false;
  bool is_writable = false;
  bool is_executable = false;
  std::string file;      // a path, "[stack]" and the like, or empty
  uint64_t offset = 0;   // in the file
  uint64_t present = 0;  // bytes from `start` on whose contents are there, not counting the file's

  uint64_t size() const { return end - start; }
  bool is_file() const { return !file.empty() && file[0] == '/'; }
  bool contains(uint64_t address) const { return address - start < end - start; }
};

struct Thread {
  int id = 0;
  std::string name;  // empty where it is not known
  uint64_t stack_pointer = 0;
  uint64_t thread_pointer = 0;      // 0: not known
  uint64_t instruction = 0;         // the program counter
  std::vector<uint64_t> registers;  // all general ones; empty where they are not known
};

// Several threads may read at once, each with a buffer of its own.
class Target : public MemorySource {
 public:
  // "process 4711" or "core 'core.4711'", for messages.
  virtual std::string name() const = 0;
  virtual bool is_core() const = 0;
  // Ascending, without overlaps.
  virtual const std::vector<Segment>& segments() const = 0;
  // Of a core the one that ended it first.
  virtual const std::vector<Thread>& threads() const = 0;
  // The program's file, as far as it is known; empty if not.
  virtual std::string program() const = 0;
  // Where the file of a segment can be opened here; empty: nowhere, or what is there is another one
  // than what was mapped.
  virtual std::string path_of(const Segment& segment) const { return segment.file; }
  // Which of threads() has that number in its own PID namespace, which is what the process itself
  // writes down; as it is, where none is known.
  virtual int thread_here(int number_inside) const { return number_inside; }
  // Bytes that the core should have and that its file does not: it was cut off. 0 for a process.
  virtual uint64_t cut_bytes() const { return 0; }

  void read(const std::vector<Piece>& pieces) const override;
  std::span<const std::byte> view(uint64_t address, size_t bytes,
                                  Buffer& buffer) const override = 0;

  // The first address from `address` up to `end` that may be anything but a zero: what is before it
  // was never touched, and to read it would cost the process memory.
  virtual uint64_t next_touched(uint64_t address, uint64_t /*end*/) const { return address; }

  // The segment that holds `address`, or null.
  const Segment* segment_of(uint64_t address) const;

  // Whether what lies at `address` was never written, as far as the target can say: of such a
  // mapping kernels write nothing to a core, nor of one that its program has asked to leave out.
  bool is_untouched(uint64_t address) const;

  // Where the first segment behind `address` begins; UINT64_MAX: none does.
  uint64_t next_start(uint64_t address) const;

  // How many bytes are mapped from `address` on without a gap.
  uint64_t mapped_bytes(uint64_t address) const;

  // All of `bytes` at `address` to `to`. False: not all of it is there.
  bool try_read(uint64_t address, void* to, size_t bytes) const;
  template <class T>
  std::optional<T> load(uint64_t address) const {
    T value;
    if (!try_read(address, &value, sizeof value)) return std::nullopt;
    return value;
  }
  // The text at `address` up to its zero, or nothing: not there, or longer than `most`.
  std::optional<std::string> load_text(uint64_t address, size_t most = 4096) const;
};

// Whether the file at `path` is known to be another one than what the segment, which begins with
// the file's first byte, was mapped from. What cannot be compared is not.
bool has_other_start(const Target& target, const Segment& segment, const std::string& path);

}  // namespace tide::walk
