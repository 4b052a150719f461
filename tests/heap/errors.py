#!/usr/bin/env python3
"""Example: TIDE_BUILD=build/release tests/heap/errors.py

What is no heap that `tide heap` can read ends with one line that says what is wrong, and with exit
status 1, or 2 for a wrong command line; never with a crash, and never without a word.
"""
import os
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import exact

BUILD = os.path.abspath(os.environ.get("TIDE_BUILD", "build/release"))


def elf(kind=4, bits=2, order=1, machine=62, segments=(), rest=b"", count=None):
    head = b"\x7fELF" + bytes([bits, order, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56,
                        len(segments) if count is None else count, 64, 0, 0)
    return head + b"".join(struct.pack("<IIQQQQQQ", *s) for s in segments) + rest


def segment(address, offset, present, size):
    return (1, 6, offset, address, 0, present, size, 4096)


def ask(*arguments):
    run = subprocess.run([f"{BUILD}/bin/tide", "heap", *arguments], capture_output=True, text=True,
                         timeout=200)
    return run.returncode, run.stdout, run.stderr


class Cases:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def expect(self, status, text, *arguments):
        code, out, err = ask(*arguments)
        self.count += 1
        if code != status or text not in err or err.count("\n") != 1 or out:
            exact.fail(f"tide heap {' '.join(arguments)}: exit {code}, expected {status} and "
                       f"'{text}' in one line, got:\n{err}{out[:200]}")


def bad_files(cases):
    one = [segment(0x10000, 200, 4096, 8192)]
    cases.expect(1, "is empty", cases.file("empty", b""))
    cases.expect(1, "no core file", cases.file("text", b"hello, this is no core at all\n" * 10))
    cases.expect(1, "no core file", cases.file("short", b"\x7fELF"))
    cases.expect(1, "32-bit", cases.file("elf32", elf(bits=1)))
    cases.expect(1, "big-endian", cases.file("big", elf(order=2)))
    cases.expect(1, "program or library", f"{BUILD}/bin/tide")
    cases.expect(1, "another machine", cases.file("mips", elf(machine=8, segments=one)))
    cases.expect(1, "list of segments", cases.file("many", elf(count=60000)))
    cases.expect(1, "no memory", cases.file("none", elf(segments=[(4, 0, 0, 0, 0, 0, 0, 4)])))
    cases.expect(1, "zstd -d", cases.file("core.zst", b"\x28\xb5\x2f\xfd" + bytes(100)))
    cases.expect(1, "lz4 -d", cases.file("core.lz4", b"\x04\x22\x4d\x18" + bytes(100)))
    cases.expect(1, "gunzip", cases.file("core.gz", b"\x1f\x8b" + bytes(100)))
    cases.expect(1, "no heap of Tide or of glibc",
                 cases.file("bare", elf(segments=one, rest=bytes(9000))))
    cases.expect(1, "no file", cases.folder)
    cases.expect(1, "neither the number of a process nor a core", "/no/such/core")


def root_version():
    header = f"{os.path.dirname(__file__)}/../../src/layout/heap_root.h"
    with open(header) as file:
        return int(re.search(r"kHeapRootVersion = (\d+);", file.read())[1])


def bad_roots(cases):
    # A root that says where it is, in a version that nobody knows, and one that is all wrong.
    for version, text in [(99, "version 99"), (root_version(), "another word size")]:
        root = bytearray(1200)
        struct.pack_into("<QII", root, 0, 0x746f6f7265646974, version, 1000)
        for offset in range(16, 600, 8):  # wherever the field is
            struct.pack_into("<Q", root, offset, 0x10000)
        data = elf(segments=[segment(0x10000, 120, 8192, 8192)])
        data += bytes(120 - len(data)) + bytes(root) + bytes(8192 - len(root))
        cases.expect(1, text, cases.file(f"root{version}", data))


def bad_commands(cases):
    cases.expect(2, "no process or core given")
    cases.expect(2, "did you mean 'stats'", str(os.getpid()), "stat")
    cases.expect(1, "there is no process", "2147483646")
    cases.expect(2, "is no address", cases.pid, "info", "0xzz")
    cases.expect(2, "no address given", cases.pid, "info")
    cases.expect(2, "is no size", cases.pid, "--size", "lots")
    cases.expect(2, "what with?", cases.pid, "diff")
    cases.expect(2, "unexpected argument", cases.pid, "check", "twice")


def main():
    with tempfile.TemporaryDirectory() as folder:
        cases = Cases(folder)
        environment = dict(os.environ, LD_PRELOAD=f"{BUILD}/lib/libtide.so")
        holder = subprocess.Popen([f"{BUILD}/bin/heap_many", "1000", "wait"], env=environment,
                                  stdout=subprocess.PIPE, text=True)
        try:
            holder.stdout.readline()
            cases.pid = str(holder.pid)
            bad_files(cases)
            bad_roots(cases)
            bad_commands(cases)
            if holder.poll() is not None:
                exact.fail("the process that was looked at has ended")
        finally:
            holder.kill()
            holder.wait()
        print(f"{cases.count} bad inputs, one clear line each")
    return 0


if __name__ == "__main__":
    exact.end_with(main)
