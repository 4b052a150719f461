"""What the tests of the tide command share: where things are, and how to run them.

Without ctest, TIDE_BUILD names the build directory: TIDE_BUILD=build/release tests/cli/run_test.py
"""

import contextlib
import json
import os
import pathlib
import stat
import struct
import subprocess
import unittest

BUILD = pathlib.Path(os.environ["TIDE_BUILD"]).resolve()
TIDE = os.environ.get("TIDE_BIN", str(BUILD / "bin/tide"))
LIBRARY = str(pathlib.Path(os.environ.get("TIDE_LIB", BUILD / "lib/libtide.so")))
LOADED = str(BUILD / "bin/cli_loaded")
HOLDER = str(BUILD / "bin/cli_holder")
HUNGRY = str(BUILD / "bin/cli_hungry")
BYSTANDER = str(BUILD / "lib/libcli_bystander.so")

NOBODY = 65534

USAGE, RUN_FAILED, CANNOT_RUN, NOT_FOUND = 2, 125, 126, 127


def clean_environment():
    """The tests' own TIDE_ variables would be options to the library."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith("TIDE_") and name not in ("LD_PRELOAD", "NO_COLOR")}


def tide(*arguments, env=None, cwd=None, binary=TIDE):
    """Runs tide; env adds to the environment."""
    return subprocess.run([binary, *map(str, arguments)], env={**clean_environment(), **(env or {})},
                          cwd=cwd, capture_output=True, text=True, errors="replace", timeout=200,
                          check=False, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def running(*command, **kwargs):
    """A holder that is ready, and its own statistics (None on the system's malloc). It gives no
    memory back by itself, so that its figures stay what they are."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env={**clean_environment(), "TIDE_PURGE": "off"}, **kwargs) as process:
        try:
            line = process.stdout.readline().strip()
            yield process, json.loads(line) if line else None
        finally:
            process.stdin.close()
            process.wait(timeout=200)


def on_tide(**kwargs):
    return running(TIDE, "run", "--", HOLDER, **kwargs)


def make_executable(path, content):
    path = pathlib.Path(path)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o755)
    return path


def elf_header(machine, is_64bit, kind=2):
    """A file that is nothing but the ELF header of an executable for that machine."""
    ident = b"\x7fELF" + bytes([2 if is_64bit else 1, 1, 1]) + bytes(9)
    if is_64bit:
        rest = struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0x1000, 0, 0, 0, 64, 56, 0, 64, 0, 0)
    else:
        rest = struct.pack("<HHIIIIIHHHHHH", kind, machine, 1, 0x1000, 0, 0, 0, 52, 32, 0, 40, 0, 0)
    return ident + rest


class TideTest(unittest.TestCase):
    maxDiff = None

    def assert_refused(self, result, status, *words):
        """One line on stderr with all the words in it, nothing on stdout."""
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("tide"), result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)


def add_mode(path, bits):
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | bits)
