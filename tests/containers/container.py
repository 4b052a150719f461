"""Containers for tests, made by hand: a folder that is the root of a program, and namespaces around
it. Works as root, and as any user where the system lets users have namespaces."""

import contextlib
import functools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
# pylint: disable=wrong-import-position,unused-import
from support import (BUILD, LIBRARY, TIDE, TideTest, clean_environment, tide)  # noqa: E402

ENTER = str(BUILD / "bin/containers_enter")
INNER_LIBRARY = "/opt/tide/libtide.so"  # a path that is nowhere but in containers
SKIPPED = 77
IS_ROOT = os.geteuid() == 0
PROFILED = {"TIDE_PROFILE": "on", "TIDE_PROFILE_RATE": "4096"}


def libraries_of(program):
    """Paths of all that the program is loaded with, the loader, too."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", listing)


class Root:
    """A folder with a program and all that it needs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "proc").mkdir(parents=True)
        (self.folder / "tmp").mkdir()
        self.put(LIBRARY, INNER_LIBRARY)

    def path(self, inner):
        return self.folder / str(inner).lstrip("/")

    def put(self, source, inner):
        target = self.path(inner)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        return str(inner)

    def put_program(self, source, inner):
        for library in libraries_of(source):
            if not self.path(library).exists():
                self.put(library, library)
        return self.put(source, inner)


def refusal(way):
    """Why the system lets this user into no container in that way; empty: it does."""
    with tempfile.TemporaryDirectory(prefix="tide-container-") as folder:
        root = Root(folder)
        root.put_program("/bin/true", "/bin/true")
        probe = subprocess.run([ENTER, *way, "2", folder, "/bin/true"], text=True,
                               capture_output=True, env=clean_environment(), check=False)
    return "" if probe.returncode != SKIPPED else probe.stderr.strip()


@functools.cache
def ways():
    """The ways into a container that this user has. Without one the test script ends as skipped."""
    known = [(), ("chroot",), ("user",)] if IS_ROOT else [("user",)]
    refused = {way: refusal(way) for way in known}
    found = [way for way in known if not refused[way]]
    if not found:
        print(f"no containers here: {refused[known[0]]}")
        sys.stdout.flush()
        os._exit(SKIPPED)  # pylint: disable=protected-access
    return found


class Contained:
    """A program in a container; `pid` is its number here."""

    def __init__(self, root, *words, way=None, env=None, is_ready=True):
        inner = {"LD_PRELOAD": INNER_LIBRARY, **PROFILED, **(env or {})}
        receive, tell = os.pipe()
        self.process = subprocess.Popen(
            [ENTER, *(ways()[0] if way is None else way),
             *(f"{name}={value}" for name, value in inner.items()), str(tell), str(root.folder),
             *map(str, words)],
            env=clean_environment(), pass_fds=[tell], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.close(tell)
        with os.fdopen(receive) as lines:
            line = lines.readline()
        self.pid = int(line) if line else 0
        if is_ready and self.process.stdout.readline() != "ready\n":
            raise AssertionError(self.process.communicate()[1])

    def end(self):
        """Its exit status."""
        self.process.communicate(timeout=200)
        return self.process.returncode

    def kill(self):
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.process.communicate(timeout=200)


class ContainerTest(TideTest):
    def setUp(self):
        super().setUp()
        ways()
        folder = tempfile.TemporaryDirectory(prefix="tide-container-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.roots = 0

    def new_root(self):
        self.roots += 1
        return Root(self.folder / f"root{self.roots}")

    def start(self, root, *words, **kwargs):
        contained = Contained(root, *words, **kwargs)
        self.addCleanup(contained.kill)
        return contained
