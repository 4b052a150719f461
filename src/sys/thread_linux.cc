#include <cerrno>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/thread.h"

// What C++ thread_local destructors use; libc's own since glibc 2.18. The last argument keeps the
// library that holds the callback from being unloaded: our own is linked with -z nodelete.
extern "C" int __cxa_thread_atexit_impl(void (*callback)(void*), void* argument, void* library)
    __attribute__((weak));
extern "C" void* __dso_handle;

namespace tide::sys {

namespace {

// Only its address is of interest. Initial-exec: one byte of static TLS.
thread_local char t_marker;

}  // namespace

uintptr_t thread_token() { return reinterpret_cast<uintptr_t>(&t_marker); }

bool is_main_thread() { return syscall(SYS_gettid) == getpid(); }

bool at_thread_exit(void (*callback)(void*), void* argument) {
  if (__cxa_thread_atexit_impl == nullptr) return false;
  return __cxa_thread_atexit_impl(callback, argument, &__dso_handle) == 0;
}

void at_fork_in_child(void (*callback)()) {
  const int saved_errno = errno;
  pthread_atfork(nullptr, nullptr, callback);
  errno = saved_errno;
}

}  // namespace tide::sys
