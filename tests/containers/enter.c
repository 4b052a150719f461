/* Starts a program as a container engine does: with PIDs, mounts, network, names and a file system
 * root of its own, and if asked for, users. Nothing stays mounted: all mounts are in the namespace.
 *
 * usage: containers_enter [user] [chroot] [overlay] [NAME=VALUE]... TELL ROOT PROGRAM [ARGUMENT]...
 *   user    a user namespace, too: needs no privilege
 *   chroot  the root by chroot, so that paths begin where the system's do
 *   overlay a file system of layers over ROOT, as images of containers have
 *   NAME    for the program's environment
 *   TELL    a descriptor that the program's PID is written to
 *
 * Exit status: the program's; 77 when the system refuses namespaces. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int skip(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  return 77;
}

static int put(const char* path, const char* text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return -1;
  const ssize_t written = write(file, text, strlen(text));
  close(file);
  return written == (ssize_t)strlen(text) ? 0 : -1;
}

static int become_root_of_own_users(void) {
  char users[64], groups[64];
  snprintf(users, sizeof users, "0 %d 1", (int)geteuid());
  snprintf(groups, sizeof groups, "0 %d 1", (int)getegid());
  return unshare(CLONE_NEWUSER) != 0 || put("/proc/self/setgroups", "deny") != 0 ||
         put("/proc/self/uid_map", users) != 0 || put("/proc/self/gid_map", groups) != 0;
}

/* Over `root`, which must have a folder tmp; its path to `merged`. */
static int mount_overlay(const char* root, char* merged, size_t size) {
  char tmp[4096], upper[4200], work[4200], options[16384];
  snprintf(tmp, sizeof tmp, "%s/tmp", root);
  snprintf(upper, sizeof upper, "%s/upper", tmp);
  snprintf(work, sizeof work, "%s/work", tmp);
  snprintf(merged, size, "%s/merged", tmp);
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", root, upper, work);
  return mount("tmpfs", tmp, "tmpfs", 0, NULL) != 0 || mkdir(upper, 0755) != 0 ||
         mkdir(work, 0755) != 0 || mkdir(merged, 0755) != 0 ||
         mount("overlay", merged, "overlay", 0, options) != 0;
}

static int enter(const char* root, int is_chroot, int is_overlay) {
  char merged[4200];
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return -1;
  if (is_overlay) {
    if (mount_overlay(root, merged, sizeof merged) != 0) return -1;
    root = merged;
  }
  if (mount(root, root, NULL, MS_BIND | MS_REC, NULL) != 0 || chdir(root) != 0 ||
      mount("proc", "proc", "proc", 0, NULL) != 0) {
    return -1;
  }
  if (is_chroot) return chroot(".") != 0 || chdir("/") != 0;
  return syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0;
}

int main(int count, char** words) {
  int is_user = 0, is_chroot = 0, is_overlay = 0;
  (void)count;
  for (++words; *words != NULL; ++words) {
    if (strcmp(*words, "user") == 0) {
      is_user = 1;
    } else if (strcmp(*words, "chroot") == 0) {
      is_chroot = 1;
    } else if (strcmp(*words, "overlay") == 0) {
      is_overlay = 1;
    } else if (strchr(*words, '=') != NULL) {
      putenv(*words);
    } else {
      break;
    }
  }
  if (words[0] == NULL || words[1] == NULL || words[2] == NULL) return 2;
  const int tell = atoi(words[0]);
  if (is_user && become_root_of_own_users()) return skip("a user namespace");
  if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) != 0) {
    return skip("namespaces");
  }
  const pid_t child = fork();
  if (child < 0) return skip("fork");
  if (child == 0) {
    close(tell);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (enter(words[1], is_chroot, is_overlay) != 0) _exit(skip("a root of its own"));
    execv(words[2], words + 2);
    perror(words[2]);
    _exit(127);
  }
  dprintf(tell, "%d\n", (int)child);
  close(tell);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
