#include "player/system_call_filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace tide::player {

bool install_system_call_filter() {
  constexpr uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
  constexpr uint16_t kEqual = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr uint16_t kReturn = BPF_RET | BPF_K;
  constexpr uint32_t kCounted[] = {SYS_mmap,        SYS_munmap,   SYS_mremap, SYS_madvise,
                                   SYS_mprotect,    SYS_brk,      SYS_futex,  SYS_membarrier,
                                   SYS_sched_yield, SYS_nanosleep};
  constexpr auto kCount = static_cast<uint8_t>(std::size(kCounted));
  sock_filter program[kCount + 3] = {{kLoad, 0, 0, offsetof(seccomp_data, nr)}};
  for (uint8_t i = 0; i < kCount; ++i) {
    program[1 + i] = {kEqual, static_cast<uint8_t>(kCount - i), 0, kCounted[i]};
  }
  program[kCount + 1] = {kReturn, 0, 0, SECCOMP_RET_ALLOW};
  program[kCount + 2] = {kReturn, 0, 0, SECCOMP_RET_TRACE};
  const sock_fprog filter{static_cast<uint16_t>(std::size(program)), program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

}  // namespace tide::player
