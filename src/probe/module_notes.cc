#include "probe/module_notes.h"

#include <atomic>
#include <new>

#include "base/mix.h"
#include "base/text.h"
#include "ds/lock.h"
#include "probe/recorder.h"
#include "sys/object_files.h"
#include "sys/shared_memory.h"

namespace tide::probe {

namespace {

constexpr uint32_t kKnown = 1024;
// How often the list is read after a library was loaded: the first reading may come before the
// loading is done.
constexpr uint32_t kReadings = 8;

// In memory that reads as zero in a forked child.
struct ModuleNotes {
  ds::Lock<ds::Rank::kTrace> lock;
  uint64_t known[kKnown];  // a ring
  uint32_t next;
};

ModuleNotes* g_notes = nullptr;
constinit std::atomic<uint32_t> g_readings_due{0};

uint64_t key_of(const sys::ObjectFile& file) {
  uint64_t key = base::mix(file.address) + file.bytes;
  for (const char c : file.path) key = base::mix(key + static_cast<unsigned char>(c));
  return key | 1;
}

bool is_new(uint64_t key) {
  for (const uint64_t known : g_notes->known) {
    if (known == key) return false;
  }
  g_notes->known[g_notes->next++ % kKnown] = key;
  return true;
}

void note_file(void* argument, const sys::ObjectFile& file) {
  if (!is_new(key_of(file))) return;
  base::TextBuffer<1200> text;
  text.text(file.build_id).put(' ').text(file.path);
  record_note(*static_cast<ThreadStream*>(argument), format::Note::kModule, file.address,
              file.bytes, text.view());
}

}  // namespace

bool prepare_module_notes() {
  bool wiped;
  g_notes = static_cast<ModuleNotes*>(sys::map_wiped_on_fork(sizeof(ModuleNotes), &wiped));
  return g_notes != nullptr;
}

void forget_module_notes() { new (g_notes) ModuleNotes{}; }

bool has_module_work() { return g_readings_due.load(std::memory_order_relaxed) != 0; }

void expect_modules() { g_readings_due.store(kReadings, std::memory_order_relaxed); }

void record_modules(ThreadStream& stream) TIDE_NO_THREAD_SAFETY_ANALYSIS {
  uint32_t due = g_readings_due.load(std::memory_order_relaxed);
  if (due != 0) g_readings_due.compare_exchange_strong(due, due - 1);
  // Somebody is at it; or we are, and the notes have filled a packet.
  if (!g_notes->lock.try_lock()) return;
  sys::visit_object_files(note_file, &stream);
  g_notes->lock.unlock();
}

}  // namespace tide::probe
