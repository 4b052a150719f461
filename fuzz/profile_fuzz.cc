// Any bytes as a profile of the library's or of pprof, or as a batch that the agent has spooled:
// something that can be shown, or an error.
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <cmath>
#include <string>
#include <string_view>

#include "fleet/batch.h"
#include "fuzz/input.h"
#include "host/crc.h"
#include "host/error.h"
#include "profile/costs.h"
#include "profile/export.h"
#include "profile/names.h"
#include "report/pprof_file.h"

namespace {

namespace profile = tide::profile;
namespace report = tide::report;

constexpr profile::Kind kKinds[] = {profile::Kind::kInUse,         profile::Kind::kAllocated,
                                    profile::Kind::kPeak,          profile::Kind::kLifetime,
                                    profile::Kind::kFragmentation, profile::Kind::kResidency};

// What is written of it is a profile as well.
void show(profile::Profile& shown) {
  // Else they could name any file of this machine.
  for (tide::host::Mapping& mapping : shown.maps) mapping.name.clear();
  shown.files.clear();
  profile::Names names(shown);
  for (const profile::Kind kind : kKinds) {
    if (profile::is_of_pages(kind) && !shown.has_pages) continue;
    const profile::Costs costs(shown, kind);
    fuzz::require(costs.order().size() <= shown.stacks.size());
    fuzz::require(!std::isnan(costs.total().bytes));
    profile::folded_of(shown, names, kind);
  }
  report::parse_profile("what was written", profile::whole_pprof_of(shown, names));
}

void read_profile_of_library(std::string_view bytes) {
  static const int file = memfd_create("profile", MFD_CLOEXEC);
  fuzz::require(file >= 0 && ftruncate(file, 0) == 0);
  fuzz::require(pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  profile::is_profile_file(path);
  profile::Profile loaded = profile::load_profile(path);
  show(loaded);
}

void read_batch(const std::string& bytes) {
  const tide::fleet::Batch batch = tide::fleet::decode(bytes);
  const tide::fleet::Batch again = tide::fleet::decode(tide::fleet::encode(batch));
  fuzz::require(again.id == batch.id && again.host == batch.host &&
                again.tables.size() == batch.tables.size());
}

// The head of fleet/batch.cc, all of it right, and the bytes packed: what lies behind the checksum.
std::string as_batch(std::string_view content) {
  std::string packed(ZSTD_compressBound(content.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), content.data(), content.size(), 1));
  const uint64_t bytes = content.size();
  const uint32_t numbers[] = {tide::host::crc_of(packed.data(), packed.size()),
                              static_cast<uint32_t>(tide::fleet::kSchemaVersion)};
  std::string file = "tidebtc1";
  file.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  file.append(reinterpret_cast<const char*>(numbers), sizeof numbers);
  return file + packed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    switch (data[0] % 4) {
      case 0:
        read_profile_of_library(bytes);
        break;
      case 1:
        report::parse_profile("input", bytes);
        break;
      case 2:
        read_batch(std::string(bytes));
        break;
      default:
        read_batch(as_batch(bytes));
    }
  } catch (const tide::host::Error&) {
    // One line for the user.
  }
  return 0;
}
