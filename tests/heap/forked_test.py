#!/usr/bin/env python3
"""Example: TIDE_BUILD=build/release tests/heap/forked_test.py build/release/bin/heap_forked

A core of a forked child shows the blocks that its parent's threads held, and none of those that
they had freed and kept for themselves: on glibc's malloc and on Tide.
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

BUILD = os.environ["TIDE_BUILD"]
LIBRARY = os.environ.get("TIDE_LIB", f"{BUILD}/lib/libtide.so")


def check(folder, program, name, preload):
    env = dict(os.environ, LD_PRELOAD=preload)
    run = subprocess.run([program], cwd=folder, env=env, capture_output=True, text=True,
                         timeout=200, check=True)
    cores = list(folder.glob("core*"))
    if not cores:
        print("SKIPPED: no core of a process that aborts")
        sys.exit(77)
    blocks = {"free": set(), "held": set()}
    for line in run.stdout.splitlines():
        what, address = line.split()
        blocks[what].add(int(address, 16))
    assert len(blocks["held"]) >= 1000, run.stdout[:200]
    answer = subprocess.run([f"{BUILD}/bin/tide", "heap", str(cores[0]), "list", "--ndjson"],
                            capture_output=True, text=True, timeout=200, check=True)
    cores[0].unlink()
    listed = {int(json.loads(line)["address"], 16) for line in answer.stdout.splitlines()}
    missing = blocks["held"] - listed
    extra = blocks["free"] & listed
    assert not missing and not extra, f"{name}: {len(missing)} missing, {len(extra)} too many"


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (-1, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with tempfile.TemporaryDirectory() as name:
        program = os.path.abspath(sys.argv[1])
        check(pathlib.Path(name), program, "glibc", "")
        check(pathlib.Path(name), program, "Tide", LIBRARY)


main()
