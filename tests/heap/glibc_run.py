#!/usr/bin/python3
"""`tide heap` lists of a program on glibc's malloc what that holds: the same addresses, the same
usable sizes, none missing, none extra.

  tests/heap/glibc_run.py             a few runs of each kind (ctest sets TIDE_BIN, TIDE_BUILD)
  tests/heap/glibc_run.py --runs 250 --seed 1000

Kinds: of a live process; gcore of one; the kernel's core of one that aborts while all threads wait;
and of one that aborts while all are at work, where each thread may be within a call: at most one
block for each may differ, two where it is in realloc. Exit status: 0 all agree, 1 some do not, 77
nothing could be run.
"""

import argparse
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

TIDE = os.environ.get("TIDE_BIN", "build/release/bin/tide")


def holder():
    build = pathlib.Path(os.environ.get("TIDE_BUILD", "build/release"))
    return next(build.glob("**/glibc_holder"), None)


def blocks_listed(what):
    done = subprocess.run([TIDE, "heap", str(what), "list", "--ndjson"], capture_output=True,
                          timeout=120, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"tide heap {what} list: {done.stderr.decode().strip()}")
    blocks = (json.loads(line) for line in done.stdout.splitlines())
    return {int(b["address"], 16): b["size"] for b in blocks}, done.stderr.decode()


def pairs(data):
    return {a: size for a, size in struct.iter_unpack("<QQ", data[: len(data) // 16 * 16]) if a > 1}


def blocks_held(table):
    return pairs(table.read_bytes())


def start(program, folder, seed, threads, calls, end):
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    words = [program, "table", seed, threads, calls, end]
    return subprocess.Popen([str(w) for w in words], cwd=folder, stdout=subprocess.PIPE)


def core_in(folder):
    return next(folder.glob("core*"), None)


def run(kind, program, folder, seed):
    """A line for each block that is wrong; None: such cores cannot be had here."""
    threads = 1 + seed % 6
    calls = 200 + seed * 7919 % 20000
    end = {"live": "sleep", "gcore": "sleep"}.get(kind, kind)
    process = start(program, folder, seed, threads, calls, end)
    allowed = 0
    try:
        if end == "sleep":
            process.stdout.read(6)
            what = process.pid
            if kind == "gcore":
                subprocess.run(["gcore", "-o", "core", str(process.pid)], cwd=folder, check=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
                what = core_in(folder)
        else:
            process.wait(timeout=120)
            what = core_in(folder)
            if process.returncode == -signal.SIGABRT and what is None:
                return None
            if kind == "abort-busy":
                allowed = 2 * threads
        listed, complaints = blocks_listed(what)
        held = blocks_held(folder / "table")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    wrong = [f"{a:#x}: {size} bytes held, {listed.get(a, 'not')} listed"
             for a, size in held.items() if listed.get(a) != size]
    wrong += [f"{a:#x}: {size} bytes listed, not held" for a, size in listed.items()
              if a not in held]
    if complaints and allowed == 0:
        wrong.append(complaints.strip())
    return [] if len(wrong) <= allowed else wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=4, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=["live", "gcore", "abort", "abort-busy"])
    parser.add_argument("--program", help="glibc_holder")
    options = parser.parse_args()
    program = pathlib.Path(options.program) if options.program else holder()
    if program is None or platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc":
        print("needs glibc on x86-64, and glibc_holder to be built")
        return 77
    kinds = [options.kind] if options.kind else ["live", "gcore", "abort", "abort-busy"]
    failed = 0
    for kind in kinds:
        if kind == "gcore" and shutil.which("gcore") is None:
            continue
        ran = 0
        for seed in range(options.seed, options.seed + options.runs):
            with tempfile.TemporaryDirectory() as folder:
                wrong = run(kind, program.resolve(), pathlib.Path(folder), seed)
            if wrong is None:
                break
            ran += 1
            if wrong:
                failed += 1
                print(f"{kind}, seed {seed}: {len(wrong)} wrong")
                print("".join(f"  {line}\n" for line in wrong[:10]), end="")
        print(f"{kind}: {ran} runs")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
