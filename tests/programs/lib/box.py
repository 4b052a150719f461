"""The place one case runs in: a fresh directory, a clean environment, one allocator.

A case starts programs only through its Box, so that each gets the allocator, has its output
kept, and ends with the run. Box methods raise CaseFailure with one line that says what broke.
"""

import collections
import hashlib
import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess
import time

from lib import paths, watch
from lib.registry import find_program

# Set by ctest for scripts; they are no options of the library.
_NOT_OPTIONS = ("TIDE_BUILD", "TIDE_LIB", "TIDE_BIN", "TIDE_SOURCE", "TIDE_SETUP")

Result = collections.namedtuple("Result", "stdout stderr status")


class CaseFailure(Exception):
    """The case can't go on; the text is the reason shown to the user."""


class Allocator:
    """How a program is put on an allocator: not at all, by LD_PRELOAD, or by `tide run`."""

    def __init__(self, label, library=None, launcher=None):
        self.label = label
        self.library = os.path.abspath(library) if library else None
        self.launcher = os.path.abspath(launcher) if launcher else None
        self._copies = {}

    def map_names(self):
        """What /proc/PID/maps shows for the library, also for the copies made below."""
        if not self.library:
            return []
        names = {os.path.realpath(self.library), *self._copies.values()}
        return [name.encode() for name in names]

    def prefix(self):
        return [self.launcher, "run", "--"] if self.launcher else []

    def preload_for(self, user, folder):
        """The path to preload; a copy for users who may not look into the build folder."""
        if not self.library or self.launcher:
            return None
        if user is None or _others_can_read(self.library):
            return self.library
        if folder not in self._copies:
            copy = os.path.join(folder, os.path.basename(self.library))
            shutil.copy(os.path.realpath(self.library), copy)
            os.chmod(copy, 0o755)
            self._copies[folder] = copy
        return self._copies[folder]


def _others_can_read(path):
    path = os.path.realpath(path)
    if not os.stat(path).st_mode & stat.S_IROTH:
        return False
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & stat.S_IXOTH:
            return False
    return True


class Program:
    """A running program; what it writes goes to files in the log folder."""

    def __init__(self, box, name, process, out_path, err_path):
        self.box = box
        self.name = name
        self.process = process
        self.pid = process.pid
        self.out_path = out_path
        self.err_path = err_path

    def is_running(self):
        return self.process.poll() is None

    def wait(self, expect=0):
        """Waits until it ends by itself; the box's time limit ends it otherwise."""
        status = self.process.wait()
        self.box.raise_if_out_of_time(self.name)
        result = Result(_read_file(self.out_path), _read_file(self.err_path), status)
        if expect is not None and status != expect:
            raise CaseFailure(f"{self.name} {_status_text(status)}; its last words: "
                              f"{_last_lines(result.stderr or result.stdout)}")
        return result

    def stop(self, how=signal.SIGTERM, expect=0):
        """Asks it to end and waits."""
        if self.process.poll() is not None:
            raise CaseFailure(f"{self.name} had gone before it was stopped: "
                              f"{_status_text(self.process.returncode)}; its last words: "
                              f"{_last_lines(_read_file(self.err_path))}")
        self.process.send_signal(how)
        return self.wait(expect)


def _read_file(path):
    with open(path, "rb") as file:
        return file.read()


def _status_text(status):
    if status >= 0:
        return f"ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    return f"was ended by signal {name}"


def _last_lines(text, count=4):
    lines = text.decode(errors="replace").strip().splitlines()[-count:]
    return " | ".join(lines) or "none"


class Box:
    def __init__(self, case, threads, allocator, folder, log_folder):
        self.threads = threads
        self.dir = folder
        self.watcher = None  # set by the runner before the case starts
        self._case = case
        self._allocator = allocator
        self._log_folder = log_folder
        self._count = 0
        self._logs = []

    # Programs.

    def environment(self, user=None, **more):
        """The whole environment: of the caller's only options of Tide come through."""
        env = {"PATH": paths.SEARCH_PATH, "HOME": self.dir, "TMPDIR": self.dir,
               "LANG": "C.UTF-8", "TZ": "UTC", "USER": user or "user", "TERM": "dumb"}
        if self._allocator.library:
            env.update((k, v) for k, v in os.environ.items() if k.startswith("TIDE_")
                       and k not in _NOT_OPTIONS)
        preload = self._allocator.preload_for(user, os.path.dirname(self.dir))
        if preload:
            env["LD_PRELOAD"] = preload
        env.update((k, str(v)) for k, v in more.items())
        return env

    def start(self, argv, *, env=None, cwd=None, user=None, stdin=None):
        """Starts a program; argv[0] is looked up in the system's folders."""
        argv = [str(word) for word in argv]
        path = argv[0] if "/" in argv[0] else find_program(argv[0])
        if path is None:
            raise CaseFailure(f"{argv[0]}: not found in {paths.SEARCH_PATH}")
        name = os.path.basename(argv[0])
        self._count += 1
        stem = os.path.join(self._log_folder, f"{self._count:03d}-{name}")
        self.watch_log(stem + ".stdout")
        self.watch_log(stem + ".stderr")
        with open(stem + ".command", "w", encoding="utf-8") as file:
            file.write(" ".join(argv) + "\n")
        identity = {}
        if user is not None and os.geteuid() == 0:
            identity = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
        source = subprocess.DEVNULL
        if stdin is not None:
            source = open(stdin, "rb")
        with open(stem + ".stdout", "wb") as out, open(stem + ".stderr", "wb") as err:
            process = subprocess.Popen(
                self._allocator.prefix() + [path] + argv[1:], stdin=source, stdout=out,
                stderr=err, cwd=cwd or self.dir, env=self.environment(user, **(env or {})),
                **identity)
        if stdin is not None:
            source.close()
        return Program(self, name, process, stem + ".stdout", stem + ".stderr")

    def run(self, argv, *, expect=0, **options):
        """Runs a program to its end; expect=None takes any status."""
        return self.start(argv, **options).wait(expect)

    def text(self, argv, **options):
        """What the program prints."""
        return self.run(argv, **options).stdout.decode(errors="backslashreplace")

    def log_of(self, program):
        """What a program has written to its standard error so far."""
        return _read_file(program.err_path).decode(errors="backslashreplace")

    def check_loaded(self, program):
        """Fails unless the running program has the library in its map."""
        names = self._allocator.map_names()
        if names and watch.has_mapped(program.pid, names) is not True:
            raise CaseFailure(f"{program.name} runs without {self._allocator.library}")

    def serve(self, argv, port, **options):
        """Starts a server, waits until it listens on the loopback port, checks the load."""
        program = self.start(argv, **options)
        while True:
            if not program.is_running():
                program.wait(expect=0)
                raise CaseFailure(f"{program.name} ended at once instead of serving")
            self.raise_if_out_of_time(program.name)
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.02)
        self.check_loaded(program)
        return program

    def wait_until(self, argv, **options):
        """Runs a program again and again until it ends with status 0."""
        while self.run(argv, expect=None, **options).status != 0:
            self.raise_if_out_of_time(argv[0])
            time.sleep(0.05)

    def free_port(self):
        # Not one that the system hands out by itself: a client that waits for the server could be
        # given it, and be connected with itself.
        while True:
            port = random.randrange(15000, 30000)
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    self.raise_if_out_of_time("the search for a free port")

    def server_user(self, preferred):
        """Whom a server that refuses root runs as; None when we are not root anyway."""
        if os.geteuid() != 0:
            return None
        for name in (preferred, "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            os.chown(self.dir, entry.pw_uid, entry.pw_gid)
            return name
        raise CaseFailure(f"no user {preferred} and no user nobody: add one of them")

    # Files.

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, data):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        return path

    def read(self, name):
        return _read_file(self.path(name))

    def digest(self, name):
        return hashlib.sha256(self.read(name)).hexdigest()

    def digest_tree(self, name):
        """One line a file: digest and path below the folder."""
        lines = []
        for folder, folders, files in os.walk(self.path(name)):
            folders.sort()
            for file in sorted(files):
                full = os.path.join(folder, file)
                lines.append(f"{hashlib.sha256(_read_file(full)).hexdigest()} "
                             f"{os.path.relpath(full, self.path(name))}")
        return "\n".join(lines) + "\n"

    # Verdicts.

    def check(self, claim, reason):
        if not claim:
            raise CaseFailure(reason)

    def raise_if_out_of_time(self, name):
        if self.watcher is not None and self.watcher.timed_out:
            raise CaseFailure(f"{self._case.name}: {name} still ran after "
                              f"{self._case.timeout:g} s")

    def watch_log(self, path):
        """A file the allocator's messages might go to: a line of Tide in it fails the case."""
        self._logs.append(os.path.join(self.dir, path))

    def allocator_messages(self):
        found = []
        for path in self._logs:
            try:
                text = _read_file(path)
            except OSError:
                continue
            for line in text.splitlines():
                if line.startswith(b"tide:") or (b"ld.so" in line and b"preload" in line):
                    found.append(line.decode(errors="replace"))
        return found
