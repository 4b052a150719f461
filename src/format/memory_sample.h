// What a program's memory was at a moment, as it stands in a trace: Note::kMemory.
#pragma once

#include <cstdint>
#include <string_view>

namespace tide::format {

// Memory that the program shares with others (of the trace's own arena, for one) is in none of the
// figures but `vm`, which has no arena in it either.
struct MemorySample {
  uint64_t rss = 0;        // the note's number: anonymous memory and files
  uint64_t vm = 0;         // its second number
  uint64_t anonymous = 0;  // these in its text, in decimal, a space between them
  uint64_t peak_rss = 0;   // the most since the sample before it
  uint64_t cpu_ns = 0;     // that all threads have taken since the program began
};

// False: the text has no three numbers.
inline bool read_sample(uint64_t number, uint64_t second, std::string_view text,
                        MemorySample* sample) {
  sample->rss = number;
  sample->vm = second;
  for (uint64_t* const value : {&sample->anonymous, &sample->peak_rss, &sample->cpu_ns}) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return false;
    for (*value = 0; !text.empty() && text.front() != ' '; text.remove_prefix(1)) {
      if (text.front() < '0' || text.front() > '9') return false;
      *value = *value * 10 + static_cast<uint64_t>(text.front() - '0');
    }
    if (!text.empty()) text.remove_prefix(1);
  }
  return true;
}

}  // namespace tide::format
