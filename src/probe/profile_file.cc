#include "probe/profile_file.h"

#include <cstring>

#include "base/racy.h"
#include "base/text.h"
#include "sys/clock.h"
#include "sys/line_reader.h"
#include "sys/object_files.h"
#include "sys/process.h"
#include "sys/report.h"
#include "sys/residency.h"
#include "sys/vm.h"

namespace tide::probe {

namespace {

struct Output {
  int descriptor;
  PagesOfSample* pages;
  size_t page_bytes;

  static bool write(void* argument, const void* bytes, size_t count) {
    return sys::write_all(static_cast<Output*>(argument)->descriptor,
                          {static_cast<const char*>(bytes), count});
  }
  static bool write_pages(void* argument, const layout::SampledBlock& sample) {
    const auto& output = *static_cast<Output*>(argument);
    const layout::SampledPages pages = output.pages(sample, output.page_bytes);
    return pages.address == 0 || write(argument, &pages, sizeof pages);
  }
};

size_t resident_part(uintptr_t address, size_t bytes) {
  size_t resident = 0;
  return sys::resident_bytes(reinterpret_cast<const void*>(address), bytes, &resident) ? resident
                                                                                       : 0;
}

bool write_all_pages(SampleTable& samples, Output& output) {
  constexpr layout::SampledPages kLast{};
  return samples.visit_live(Output::write_pages, &output) &&
         Output::write(&output, &kLast, sizeof kLast);
}

// The paths of the mappings may lead elsewhere by the time, and on the machine, where the file is
// read.
bool write_build_ids(Output& output) {
  struct Lines {
    Output& output;
    bool are_written = true;
  } lines{output};
  sys::visit_object_files(
      [](void* argument, const sys::ObjectFile& file) {
        auto& to = *static_cast<Lines*>(argument);
        if (file.build_id.empty()) return;
        base::TextBuffer<128> line;
        line.text(layout::kBuildIdLine).hex(file.address).put(' ').text(file.build_id).put('\n');
        to.are_written =
            to.are_written && Output::write(&to.output, line.view().data(), line.view().size());
      },
      &lines);
  return lines.are_written;
}

}  // namespace

layout::SampledPages residency_of_sample(const layout::SampledBlock& sample, size_t page_bytes) {
  const uint64_t address = base::racy_load(sample.address);
  const uint64_t bytes = base::racy_load(sample.bytes);
  layout::SampledPages pages{address, layout::kPinnedUnknown, 0, 0};
  // Pages that are only partly its own count by what it has of them.
  const size_t to_next = page_bytes - address % page_bytes;
  const size_t first = bytes < to_next ? bytes : to_next;
  const size_t last = (bytes - first) % page_bytes;
  pages.resident = resident_part(address, first);
  pages.resident += resident_part(address + first, bytes - first - last);
  pages.resident += resident_part(address + bytes - last, last);
  return pages;
}

bool write_profile(SampleTable& samples, PagesOfSample* pages, int descriptor) {
  const layout::ProfileFileHeader header{.magic = layout::kProfileFileMagic,
                                         .version = layout::kProfileFileVersion,
                                         .table_bytes = sizeof(layout::ProfileTable),
                                         .now_ns = sys::monotonic_ns(),
                                         .real_now_ns = sys::real_ns(),
                                         .process = sys::process_id(),
                                         .unused = 0};
  Output output{descriptor, pages, sys::LinuxVm().page_size()};
  if (!Output::write(&output, &header, sizeof header) || !samples.write(Output::write, &output)) {
    return false;
  }
  if (!write_all_pages(samples, output)) return false;
  char lines[2048];
  sys::LineReader reader("/proc/self/maps", lines);
  std::string_view line;
  while (reader.next(line)) {
    if (!sys::write_all(descriptor, line) || !sys::write_all(descriptor, "\n")) return false;
  }
  return write_build_ids(output);
}

void write_profile_to(SampleTable& samples, PagesOfSample* pages, const char* pattern) {
  base::TextBuffer<2048> path;
  sys::expand_path(pattern, path);
  const char* file = path.view().data();
  // What a process has written that this one has started, as `timeout PROG` does, or that ran
  // beside it, stays.
  base::TextBuffer<2048> beside;
  if (strstr(pattern, "%p") == nullptr && sys::was_written_since(file, samples.began_ns())) {
    beside.text(file).put('.').decimal(static_cast<uint64_t>(sys::process_id())).put('\0');
    file = beside.view().data();
  }
  const int descriptor = sys::open_anew(file);
  const bool done = descriptor >= 0 && write_profile(samples, pages, descriptor);
  if (descriptor >= 0) sys::close_descriptor(descriptor);
  if (done) return;
  base::TextBuffer<480> line;
  line.text("can't write the profile to '").text(file);
  line.text("'; check the option profile_file");
  sys::warn(line.view());
}

}  // namespace tide::probe
