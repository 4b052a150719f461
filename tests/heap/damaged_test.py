#!/usr/bin/env python3
"""Example: TIDE_BUILD=build/release tests/heap/damaged_test.py build/release/bin/heap_damaged

In hardened mode `tide heap CORE check` names the block whose end was written past, and the freed
block that was written to, whatever was written; without it, it says what it could not check.
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

BUILD = os.environ["TIDE_BUILD"]
TIDE = f"{BUILD}/bin/tide"
LIBRARY = os.environ.get("TIDE_LIB", f"{BUILD}/lib/libtide.so")
# What is damaged, bytes of each block, bytes written, the least level that sees it, what it says.
CASES = [
    ("end", 100, 8, 1, "past its end"),
    ("end", 100, 24, 1, "past its end"),
    ("end", 100, 200, 1, "past its end"),
    ("end", 3000, 1, 1, "past its end"),
    ("end", 40000, 20, 1, "past its end"),
    ("slack", 100, 1, 3, "first at byte 100"),
    ("freed", 100, 5, 1, "is free"),
    ("freed", 3000, 100, 1, "is free"),
]


def check(folder, program, case, level):
    what, size, over, least, says = case
    env = dict(os.environ, LD_PRELOAD=LIBRARY, TIDE_HARDEN=str(level))
    run = subprocess.run([program, what, str(size), str(over)], cwd=folder, env=env,
                         capture_output=True, text=True, timeout=200)
    cores = list(folder.glob("core*"))
    if not cores:
        print("SKIPPED: no core of a process that aborts")
        sys.exit(77)
    block = int(run.stdout, 16)
    answer = subprocess.run([TIDE, "heap", str(cores[0]), "check", "--json"], capture_output=True,
                            text=True, timeout=200)
    cores[0].unlink()
    problems = json.loads(answer.stdout)["problems"]
    named = {int(p["address"], 16): p["problem"] for p in problems}
    if level < least:
        assert not named and answer.returncode == 0, f"{case} at level {level}: {problems}"
        return
    assert answer.returncode == 1, f"{case} at level {level}: exit {answer.returncode}"
    assert min(named) == block and says in named[block], (
        f"{case} at level {level}: {block:#x} is not named first: {problems}")


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (-1, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for case in CASES:
            for level in (0, 1, 2, 3):
                # From level 2 on a large block ends at a guard page: the write itself is stopped.
                if level >= 2 and case[0] == "end" and case[1] > 32768:
                    continue
                if level == 0 and case[0] == "end" and case[2] > 100:
                    continue
                check(folder, program, case, level)


main()
