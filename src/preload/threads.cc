// Threads have a stream from their first moment on.
#include "preload/entry.h"
#include "probe/recorded_process.h"

namespace probe = tide::probe;
using namespace tide::preload;

namespace {

void* run_thread(void* prepared) {
  auto* const stream = static_cast<ThreadStream*>(prepared);
  const auto routine = stream->routine;
  void* const argument = stream->argument;
  probe::begin_thread(stream);
  return routine(argument);
}

}  // namespace

extern "C" TIDE_EXPORT int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                          void* (*routine)(void*), void* argument) noexcept {
  using PthreadCreate = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static PthreadCreate* next = nullptr;
  ThreadStream* prepared = nullptr;
  remark(TIDE_FRAME, [&](ThreadStream&) { prepared = probe::prepare_thread(routine, argument); });
  PthreadCreate* const create = next_function(next, "pthread_create");
  if (prepared == nullptr) return create(thread, attributes, routine, argument);
  const int error = create(thread, attributes, run_thread, prepared);
  if (error != 0) remark(TIDE_FRAME, [&](ThreadStream&) { probe::give_back(prepared); });
  return error;
}
