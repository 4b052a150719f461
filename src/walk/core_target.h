// A core file as a Target: of the kernel, of gcore or of systemd-coredump, whole or cut off.
//
// The file is mapped, never copied. Pages of files that the kernel left out of the core come from
// the files that the core names, as long as what the core has of a file is what is in it now.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "walk/target.h"

namespace tide::walk {

// A file mapped for reading; unmapped at the end.
class MappedFile {
 public:
  // Throws host::Error.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

class CoreTarget : public Target {
 public:
  // `program`: the program's file, where the core's own name for it leads nowhere; may be empty.
  // `sysroot`: the folder that the files are under, which the core names; empty: the machine's.
  // Throws host::Error: not there, no core, of a machine that is not known.
  explicit CoreTarget(const std::string& path, const std::string& program = {},
                      const std::string& sysroot = {});
  ~CoreTarget() override;

  std::string name() const override { return "core '" + path_ + "'"; }
  bool is_core() const override { return true; }
  const std::vector<Segment>& segments() const override { return segments_; }
  const std::vector<Thread>& threads() const override { return threads_; }
  std::string program() const override { return program_; }
  std::string path_of(const Segment& segment) const override;
  uint64_t cut_bytes() const override { return cut_bytes_; }

  std::span<const std::byte> view(uint64_t address, size_t bytes, Buffer& buffer) const override;

 private:
  // Where a segment's bytes are in the core; parallel to segments_.
  struct Contents {
    std::span<const std::byte> bytes;
    // The rest of it, from a file; empty until somebody asks.
    mutable std::span<const std::byte> file;
    mutable bool has_asked = false;
  };
  struct NamedRange {
    uint64_t start;
    uint64_t end;
    uint64_t offset;
    std::string file;
  };

  void read_headers();
  void read_notes(std::span<const std::byte> notes);
  void read_status(std::span<const std::byte> note);
  void read_names(std::span<const std::byte> note);
  void read_program(std::span<const std::byte> note);
  void add_named_ranges();
  void add_absent_ranges();
  void name_stacks();
  std::span<const std::byte> file_bytes(size_t segment) const;
  const MappedFile* file_of(const std::string& path) const;
  enum class Same { kYes, kNo, kUnknown };
  Same is_same_file(const std::string& file, std::span<const std::byte> now) const;

  std::string path_;
  std::string program_;
  std::string given_program_;
  std::string sysroot_;
  std::unique_ptr<MappedFile> core_;
  std::vector<Segment> segments_;
  std::vector<Contents> contents_;
  std::vector<NamedRange> names_;
  std::vector<Thread> threads_;
  uint64_t cut_bytes_ = 0;
  mutable std::atomic<size_t> last_ = 0;  // the segment that was asked for last; a hint
  mutable std::mutex files_mutex_;        // of files_, and of what contents_ has of them
  mutable std::map<std::string, std::unique_ptr<MappedFile>> files_;
};

}  // namespace tide::walk
