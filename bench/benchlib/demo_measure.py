"""Processes of bench/demo: started on an allocator, watched through /proc, surely ended."""

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field

from . import peers
from .process import maps_contain, status_field

IDLE_SECONDS = 1.0     # from the end of the work to the look at RSS
PATIENCE_SECONDS = 100  # for one program; they take seconds


class DemoError(Exception):
    """A program failed or an output is wrong; the text says which and how."""


@dataclass
class Variant:
    """One side of a comparison: how to start a program and what the table calls it."""
    key: str
    label: str
    library: str | None                 # its file name must show up in the process
    prefix: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)

    def variables(self, extra):
        # Whatever the caller preloads itself would stand in both columns: leave it out.
        base = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        return base | self.environment | extra


@dataclass
class Measured:
    wall_s: float
    cpu_s: float
    peak_kib: int
    after_kib: int | None
    output: str


def tide_variant(library=None):
    """Tide through its command when that is built, else by preload. `library`: another one."""
    command = peers.ROOT / "build/release/bin/tide"
    path = library or str(peers.ROOT / "build/release/lib/libtide.so")
    if not os.path.isfile(path):
        raise DemoError(f"no file {path}" + ("" if library else ": run make first"))
    path = os.path.realpath(path)
    name = os.path.basename(path)
    if library is None and os.access(command, os.X_OK):
        return Variant("tide", "tide", name, [str(command), "run", "--"])
    return Variant("tide", "tide", name, environment={"LD_PRELOAD": path})


class Child:
    """A process in a group of its own; leaving the with-block ends the whole group."""

    def __init__(self, command, variant, extra=None, **streams):
        self.begin = time.monotonic()
        self.variant = variant
        self.process = subprocess.Popen(variant.prefix + command, env=variant.variables(extra or {}),
                                        start_new_session=True, **streams)
        self.usage = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if self.usage is None:
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    @property
    def pid(self):
        return self.process.pid

    def status_kib(self, name):
        return status_field(self.pid, name)

    def check_library(self):
        if self.variant.library and not maps_contain(self.pid, self.variant.library):
            raise DemoError(f"{self.variant.library} is not in the process: the preload did not take")

    def rss_after_idle(self):
        time.sleep(IDLE_SECONDS)
        return self.status_kib(b"VmRSS")

    def wait(self):
        """Waits for the end; a failure is an error. Returns the resource usage."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                raise DemoError(f"does not end within {PATIENCE_SECONDS} s")
            time.sleep(0.002)
        self.usage = usage
        self.process.returncode = 0
        if os.WIFSIGNALED(status):
            raise DemoError(f"was killed by {signal.Signals(os.WTERMSIG(status)).name}")
        if os.WEXITSTATUS(status) != 0:
            raise DemoError(f"ended with status {os.WEXITSTATUS(status)}")
        return usage


class RedisClient:
    """Just enough of the protocol for a demo: commands out, replies of four kinds in."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rb")

    def close(self):
        self.stream.close()
        self.socket.close()

    @staticmethod
    def encode(words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        return b"".join(parts)

    def reply(self):
        line = self.stream.readline()
        kind, rest = line[:1], line[1:].strip()
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.stream.read(size + 2)[:-2]
        if kind in (b"+", b":"):
            return rest
        raise DemoError(f"redis answered {line!r}")

    def ask(self, *words):
        self.socket.sendall(self.encode(words))
        return self.reply()

    def ask_all(self, commands):
        """Sends batches, so that the buffers of both sides never fill up against each other."""
        for first in range(0, len(commands), 500):
            batch = commands[first:first + 500]
            self.socket.sendall(b"".join(self.encode(words) for words in batch))
            for _ in batch:
                yield self.reply()


def need(program, package):
    path = shutil.which(program)
    if not path:
        raise DemoError(f"no program {program}: apt-get install {package}")
    return path
