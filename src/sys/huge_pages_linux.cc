#include "sys/huge_pages.h"

#include <sys/prctl.h>
#include <string_view>

#include "base/text.h"
#include "sys/line_reader.h"

namespace tide::sys {

bool gives_huge_pages(const char* root) {
  // "always [madvise] never": the one in brackets holds. We never ask by madvise.
  base::TextBuffer<512> file;
  char lines[64];
  file.text(root).text("/sys/kernel/mm/transparent_hugepage/enabled").put('\0');
  if (file.truncated()) return false;
  LineReader reader(file.view().data(), lines);
  std::string_view line;
  if (!reader.next(line) || line.find("[always]") == std::string_view::npos) return false;
  const ErrnoKeeper keeper;
  return prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) != 1;
}

}  // namespace tide::sys
