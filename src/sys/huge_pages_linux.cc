#include "sys/huge_pages.h"

#include <sys/prctl.h>
#include <string_view>

#include "base/text.h"
#include "sys/line_reader.h"

namespace tide::sys {

namespace {

// The first line of one of the kernel's files about them; empty: there is none.
std::string_view first_line(const char* root, std::string_view name, base::TextBuffer<512>& file,
                            char (&room)[64]) {
  file.text(root).text("/sys/kernel/mm/transparent_hugepage/").text(name).put('\0');
  std::string_view line;
  if (file.truncated()) return line;
  LineReader reader(file.view().data(), room);
  reader.next(line);
  return line;
}

}  // namespace

bool gives_huge_pages(const char* root) {
  // "always [madvise] never": the one in brackets holds. We never ask by madvise.
  base::TextBuffer<512> enabled;
  char room[64];
  if (first_line(root, "enabled", enabled, room).find("[always]") == std::string_view::npos) {
    return false;
  }
  // Where the system's pages are larger, these are of 32 or 512 MiB.
  base::TextBuffer<512> size;
  const std::string_view bytes = first_line(root, "hpage_pmd_size", size, room);
  if (!bytes.empty() && bytes != "2097152") return false;
  const ErrnoKeeper keeper;
  return prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) != 1;
}

}  // namespace tide::sys
