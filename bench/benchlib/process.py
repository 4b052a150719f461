"""Runs one command on one allocator and measures it: wall, CPU, memory, faults, and whether the
preload took.

Peak RSS: ru_maxrss of a child starts at its parent's value, so below this interpreter's own RSS it
says nothing; then the highest VmHWM that was seen in /proc counts. Our own programs report their
own peak and no such care is needed.
"""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass

POLL_SECONDS = 0.02      # small beside any run, and a look costs some 50 us
EARLY_POLL_SECONDS = 0.001  # until the preload has been seen
EARLY_SECONDS = 0.05


@dataclass
class Outcome:
    status: str              # ok, exit N, signal N, timeout, preload missed
    wall_s: float
    cpu_s: float
    peak_rss_kib: int | None   # None: the program was too short and small to tell
    minor_faults: int
    major_faults: int
    preload_seen: bool
    output: bytes
    errors: bytes

    @property
    def is_ok(self):
        return self.status == "ok"


def status_field(pid, name):
    """A field of /proc/PID/status in KiB, 0 when it cannot be read."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(name):
                    return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return 0


def maps_contain(pid, file_name):
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            return file_name.encode() in file.read()
    except OSError:
        return False


def kill_group(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Watcher(threading.Thread):
    """Looks at a running child from the side, so that the main thread can wait for its exact end."""

    def __init__(self, child, timeout_s, library_name):
        super().__init__(daemon=True)
        self.child, self.timeout_s, self.library_name = child, timeout_s, library_name
        self.ended = threading.Event()
        self.peak_rss_kib, self.preload_seen, self.timed_out = 0, library_name is None, False

    def run(self):
        begin = time.monotonic()
        while not self.ended.is_set():
            # Looked at from the first millisecond on: a short program may be gone at the next look.
            self.preload_seen = self.preload_seen or maps_contain(self.child.pid, self.library_name)
            self.peak_rss_kib = max(self.peak_rss_kib, status_field(self.child.pid, b"VmHWM"))
            now = time.monotonic()
            if now > begin + self.timeout_s:
                self.timed_out = True
                kill_group(self.child)
                return
            early = not self.preload_seen and now - begin < EARLY_SECONDS
            self.ended.wait(EARLY_POLL_SECONDS if early else POLL_SECONDS)


def run(command, peer, timeout_s=120.0, directory=None):
    """One measured run. The command gets its own process group, killed whole at a timeout."""
    library_name = peer.file_name() if peer.library else None
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.monotonic()
        child = subprocess.Popen(command, env=peer.environment(), stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=errors, cwd=directory, start_new_session=True)
        watcher = Watcher(child, timeout_s, library_name)
        watcher.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.monotonic() - begin
            child.returncode = 0  # reaped here: keeps subprocess from waiting again
        except BaseException:
            kill_group(child)
            child.wait()
            raise
        finally:
            watcher.ended.set()
            watcher.join()
        kill_group(child)  # what the command left running
        output.seek(0)
        errors.seek(0)
        own_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = usage.ru_maxrss if usage.ru_maxrss > own_rss * 1.05 else watcher.peak_rss_kib or None
        return Outcome(
            status="timeout" if watcher.timed_out else status_text(status), wall_s=wall,
            cpu_s=usage.ru_utime + usage.ru_stime, peak_rss_kib=peak, minor_faults=usage.ru_minflt,
            major_faults=usage.ru_majflt, preload_seen=watcher.preload_seen, output=output.read(),
            errors=errors.read())


# What an allocator asks of the system's memory.
MEMORY_CALLS = ("mmap", "munmap", "mremap", "madvise", "brk", "mprotect")


def parse_call_table(text):
    """Name -> calls, from the table that strace -c writes."""
    calls = {}
    for line in text.splitlines():
        words = line.split()
        # % time, seconds, usecs/call, calls, errors (may be missing), name
        if len(words) in (5, 6) and words[3].isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3])
    return calls


def parse_advice(text):
    """Advice -> calls of madvise, from the lines that strace writes."""
    calls = {}
    for line in text.splitlines():
        if match := re.search(r"\b(?:madvise\([^,]*, [^,]*|process_madvise\(.*\]\S*, \d+), (\w+)", line):
            calls[match[1]] = calls.get(match[1], 0) + 1
    return calls


def watch_calls(words, command, peer, timeout_s, directory):
    """What strace with these options writes about one run; None when that can't be had.

    The run is slowed down by being watched, so nothing else of it is a figure."""
    if not shutil.which("strace"):
        return None
    # What is this allocator's alone must not reach strace itself.
    environment = peer.environment()
    given = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    shared = {name: value for name, value in environment.items() if name not in given}
    with tempfile.NamedTemporaryFile("r") as table:
        words = ["strace", "-f", *words, "-o", table.name]
        for name, value in given.items():
            words += ["-E", f"{name}={value}"]
        try:
            done = subprocess.run([*words, *command], env=shared, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=timeout_s, check=False, cwd=directory)
        except subprocess.TimeoutExpired:
            return None
        return table.read() if done.returncode == 0 else None


def count_calls(command, peer, timeout_s=120.0, directory=None):
    """System calls of one run by name, threads and children included; None when that can't be had."""
    text = watch_calls(["-c"], command, peer, timeout_s, directory)
    return parse_call_table(text) if text is not None else None


def count_advice(command, peer, timeout_s=120.0, directory=None):
    """Calls of madvise by their advice; None when that can't be had."""
    text = watch_calls(["-e", "trace=madvise,process_madvise"], command, peer, timeout_s, directory)
    return parse_advice(text) if text is not None else None


def status_text(status):
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"signal {number} ({signal.Signals(number).name})"
    code = os.WEXITSTATUS(status)
    return "ok" if code == 0 else f"exit {code}"


def mapped_file(name_start):
    """Path of the first file in this process's map whose name begins so, or None."""
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
        for line in maps:
            path = line.split(maxsplit=5)[-1].strip()
            if os.path.basename(path).startswith(name_start):
                return path
    return None


def loader():
    """Path of the dynamic loader that this interpreter itself runs on."""
    return mapped_file("ld-linux")


def program_file(command):
    """The ELF file that runs: the command's own, or the interpreter of a script."""
    path = shutil.which(command[0])
    if not path:
        return None
    with open(path, "rb") as file:
        head = file.readline(256)
    if head.startswith(b"#!"):
        words = head[2:].split()
        script_program = words[1:2] if words[0].endswith(b"/env") else words[:1]
        return shutil.which(script_program[0].decode()) if script_program else None
    return path


def preload_reaches(command, peer):
    """Asks the loader, without running the program, whether it would load the peer's library.

    For programs so short that nobody can look into /proc in time."""
    program = program_file(command)
    if not program or not loader():
        return False
    done = subprocess.run([loader(), "--list", program], env=peer.environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, check=False)
    return done.returncode == 0 and peer.file_name().encode() in done.stdout


def last_json_line(output):
    """The record that a program of bench/workloads prints; None when there is none."""
    for line in reversed(output.decode(errors="replace").splitlines()):
        if line.startswith("{") and line.endswith("}"):
            try:
                return json.loads(line)
            except ValueError:
                return None
    return None


def json_object(text):
    try:
        return json.loads(text)
    except ValueError:
        return None
