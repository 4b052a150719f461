// Transparent huge pages. Nothing here allocates; errno is kept.
#pragma once

namespace tide::sys {

// Whether the system makes huge pages of 2 MiB of memory for which nobody has asked for them
// (`always`). Reads two files. `root` stands before its path: empty but in tests.
bool gives_huge_pages(const char* root = "");

}  // namespace tide::sys
