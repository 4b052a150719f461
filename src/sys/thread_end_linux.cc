#include <pthread.h>

#include "sys/errno_keeper.h"
#include "sys/thread_end.h"

namespace tide::sys {

namespace {

// glibc has room for as many in each thread; for later ones pthread_setspecific allocates.
constexpr pthread_key_t kKeysWithRoom = 32;

pthread_key_t g_key = 0;
bool g_has_key = false;

}  // namespace

bool watch_thread_ends(void (*callback)(void* argument)) {
  const ErrnoKeeper keeper;
  if (pthread_key_create(&g_key, callback) != 0) return false;
  g_has_key = g_key < kKeysWithRoom;
  if (!g_has_key) pthread_key_delete(g_key);
  return g_has_key;
}

void watch_this_thread(void* argument) {
  const ErrnoKeeper keeper;
  if (g_has_key) pthread_setspecific(g_key, argument);
}

}  // namespace tide::sys
