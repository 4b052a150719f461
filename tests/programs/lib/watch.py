"""Watches the processes below this one: did each load the library, and does none outlive us.

The driver makes itself the reaper of orphans (prctl PR_SET_CHILD_SUBREAPER), so a daemon that
forks away is still found, checked and ended. A Watcher is a thread that samples /proc while a
case runs. A process counts as not loaded once its map shows a C library without the library
that should come before it: the dynamic linker maps preloaded objects first, so this order
can't be seen the other way round in a process that preloads.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import threading
import time

_PR_SET_CHILD_SUBREAPER = 36
_FIRST_SAMPLES_SECONDS = 0.04  # dense while programs start
_LATER_SAMPLES_SECONDS = 0.12
_BACKTRACE_SECONDS = 40
_BACKTRACE_PROCESSES = 12


def become_reaper():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _state_and_parent(pid):
    """('S', 123) or None once the process is gone."""
    stat = _read(f"/proc/{pid}/stat")
    close = stat.rfind(b")")  # the name before it may hold spaces and brackets
    if close < 0:
        return None
    fields = stat[close + 2:].split()
    return fields[0].decode(), int(fields[1])


def descendants():
    """Ids of all live processes below this one, zombies left out."""
    children = {}
    zombies = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        known = _state_and_parent(entry)
        if known is None:
            continue
        if known[0] in "ZX":
            zombies.add(int(entry))
        children.setdefault(known[1], []).append(int(entry))
    found = []
    todo = [os.getpid()]
    while todo:
        for child in children.get(todo.pop(), ()):
            todo.append(child)
            if child not in zombies:
                found.append(child)
    return found


def describe(pid):
    command = _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").strip()
    return f"{pid} {command.decode(errors='replace')[:120] or '?'}"


def program_name(pid):
    try:
        path = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None
    return os.path.basename(path.removesuffix(" (deleted)"))


def has_mapped(pid, library_names):
    """True, False, or None while the process has not got as far as a C library."""
    maps = _read(f"/proc/{pid}/maps")
    if any(name in maps for name in library_names):
        return True
    return False if b"/libc.so.6" in maps else None


def kill_descendants(grace_seconds=0.0):
    """Ends everything below us; returns descriptions of what was still there after the grace."""
    end = time.monotonic() + grace_seconds
    left = descendants()
    while left and time.monotonic() < end:
        time.sleep(0.05)
        left = descendants()
    names = [describe(pid) for pid in left]
    for _ in range(100):
        if not left:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.02)
        left = descendants()
    return names


def reap_orphans():
    """Collects the exit statuses of processes that were handed to us; call between cases only."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def write_backtraces(path, pids):
    """All threads of the processes, if gdb is there."""
    gdb = shutil.which("gdb", path="/usr/bin:/bin")
    with open(path, "ab") as out:
        for pid in pids[:_BACKTRACE_PROCESSES]:
            out.write(f"=== {describe(pid)}\n".encode())
            if not gdb:
                out.write(b"no gdb on this machine: install the package gdb for a backtrace\n")
                continue
            out.flush()
            try:
                subprocess.run([gdb, "-nx", "-batch", "-ex", "thread apply all bt", "-p",
                                str(pid)], stdin=subprocess.DEVNULL, stdout=out,
                               stderr=subprocess.STDOUT, timeout=_BACKTRACE_SECONDS,
                               start_new_session=True, env={"PATH": "/usr/bin:/bin"})
            except (subprocess.TimeoutExpired, OSError) as error:
                out.write(f"{error}\n".encode())


class Watcher(threading.Thread):
    """One run of one case: samples loads, and on timeout writes backtraces and ends the run."""

    def __init__(self, allocator, timeout, backtrace_path):
        super().__init__(daemon=True)
        self._allocator = allocator  # has no library when there is nothing to check
        self._timeout = timeout
        self._backtrace_path = backtrace_path
        self._finished = threading.Event()
        self._settled = set()  # (pid, executable) whose answer is known
        self._suspects = set()
        self._own_command = _read("/proc/self/cmdline")
        self.loaded = set()  # program names
        self.not_loaded = {}  # program name -> description
        self.timed_out = False

    def run(self):
        start = time.monotonic()
        while True:
            elapsed = time.monotonic() - start
            if elapsed > self._timeout:
                self.timed_out = True
                pids = descendants()
                write_backtraces(self._backtrace_path, pids)
                kill_descendants()
                return
            if self._allocator.library:
                for pid in descendants():
                    self.sample(pid)
            pause = _FIRST_SAMPLES_SECONDS if elapsed < 3 else _LATER_SAMPLES_SECONDS
            if not self._allocator.library:
                pause = 0.25
            if self._finished.wait(pause):
                return

    def sample(self, pid):
        name = program_name(pid)
        if name is None or (pid, name) in self._settled:
            return
        if _read(f"/proc/{pid}/cmdline") == self._own_command:
            return  # a child of ours between fork and exec
        mapped = has_mapped(pid, self._allocator.map_names())
        if mapped is None:
            return
        if mapped:
            self.loaded.add(name)
            self._settled.add((pid, name))
        elif (pid, name) in self._suspects:  # seen twice: not on its way through exec
            self.not_loaded[name] = describe(pid)
            self._settled.add((pid, name))
        else:
            self._suspects.add((pid, name))

    def finish(self):
        self._finished.set()
        self.join()
