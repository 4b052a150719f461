#include "trace/imported.h"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "host/error.h"
#include "trace/text_lines.h"

namespace tide::trace {

namespace fs = std::filesystem;

namespace {

// How far down LTTng puts a trace: SESSION/ust/uid/1000/64-bit, with a folder for each rotation.
constexpr int kMostFolders = 7;

bool is_ctf(const fs::path& folder) {
  char first[10] = {};
  std::ifstream(folder / "metadata", std::ios::binary).read(first, sizeof first);
  // As text, or in packets.
  return memcmp(first, "/* CTF 1.8", 10) == 0 || memcmp(first, "\x57\x1d\xd1\x75", 4) == 0;
}

// Whether the folder or one in it is a CTF trace: babeltrace2 looks as far.
bool has_ctf(const std::string& path) {
  if (is_ctf(path)) return true;
  std::error_code error;
  for (fs::recursive_directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    if (at.depth() >= kMostFolders) at.disable_recursion_pending();
    if (at->is_directory(error) && is_ctf(at->path())) return true;
  }
  return false;
}

}  // namespace

std::string_view import_format(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return has_ctf(path) ? "ctf" : "";
  // A record of its own begins each file of glibc's: type 255, pointer 0x1234, the size of one.
  unsigned char first[64] = {};
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(first), sizeof first);
  uint64_t pointer = 0;
  memcpy(&pointer, first + 8, sizeof pointer);
  if (in.gcount() == sizeof first && first[4] == 255 && pointer == 0x1234) return "mtrace";
  const bool is_packed = memcmp(first, "\x28\xb5\x2f\xfd", 4) == 0 ||
                         memcmp(first, "\x1f\x8b", 2) == 0 || memcmp(first, "v ", 2) == 0;
  if (!is_packed) return "";
  try {
    TextLines lines(path);
    std::string_view line;
    if (lines.next(line) && line.starts_with("v ")) return "heaptrack";
  } catch (const host::Error&) {
    // Something else that is compressed.
  }
  return "";
}

std::unique_ptr<EventSource> import_file(const std::string& path, std::string_view format) {
  auto context = std::make_unique<ImportContext>();
  std::unique_ptr<Importer> importer;
  if (format == "mtrace") {
    importer = import_mtrace(path, *context);
  } else if (format == "heaptrack") {
    importer = import_heaptrack(path, *context);
  } else if (format == "ctf") {
    importer = import_ctf(path, *context);
  } else {
    throw host::Error(fmt::format("--from is trace, mtrace, heaptrack or ctf, not '{}'", format),
                      host::kExitUsage);
  }
  return std::make_unique<Imported>(std::move(context), std::move(importer));
}

}  // namespace tide::trace
