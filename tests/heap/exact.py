#!/usr/bin/env python3
"""Example: TIDE_BUILD=build/release tests/heap/exact.py --seeds 5 --modes live,gcore,core,crash

What `tide heap list` shows is what the program holds: block for block, address and usable size;
and `check` finds nothing wrong.
Runs tests/heap/holder.c with each seed in each mode and compares. In mode `crash` the process
aborts while its threads are in malloc and free: a block may then be in flight, at most one for each
thread.
"""
import argparse
import json
import mmap
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

EMPTY, ALLOCATING, HELD, FREEING, RESIZING = range(5)
THREADS, SLOTS, MOST_OTHERS = 4, 3000, 4096
HEAD = 4 * 8 + MOST_OTHERS * 8


def fail(text):
    raise AssertionError(text)


def end_with(main):
    """Ends with the status of a test's main(); what does not hold is one line."""
    try:
        sys.exit(main())
    except AssertionError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


class Table:
    """What the program wrote of itself."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        slots, others, self.visited, self.visited_bytes = struct.unpack_from("4Q", data)
        self.others = set(struct.unpack_from(f"{min(others, MOST_OTHERS)}Q", data, 32))
        self.held, self.unsure, self.freeing = {}, 0, 0
        self.maybe = set()
        for state, address, size in struct.iter_unpack("3Q", data[HEAD:HEAD + 24 * slots]):
            if state == HELD:
                self.held[address] = size
            elif state in (FREEING, RESIZING):
                self.maybe.add(address)
                self.unsure += 1
                self.freeing += 1
            elif state == ALLOCATING:
                self.unsure += 1


def check(build, what, at_rest):
    """Nothing is wrong with a heap that nobody has damaged. A call that was cut short may have been
    just about to write a block's seal."""
    run = subprocess.run([f"{build}/bin/tide", "heap", str(what), "check"], capture_output=True,
                         text=True, timeout=300)
    lines = [] if at_rest else run.stdout.splitlines()
    if 0 < len(lines) <= THREADS and all("just about to write" in line for line in lines):
        return
    if run.returncode != 0:
        fail(f"tide heap {what} check: exit {run.returncode}: {(run.stdout + run.stderr).strip()[:300]}")


def listed(build, what):
    run = subprocess.run([f"{build}/bin/tide", "heap", str(what), "list", "--ndjson"],
                         capture_output=True, text=True, timeout=300)
    if run.returncode != 0 or run.stderr:
        fail(f"tide heap {what} list: exit {run.returncode}: {run.stderr.strip()}")
    blocks = {}
    for line in run.stdout.splitlines():
        block = json.loads(line)
        address = int(block["address"], 16)
        if address in blocks:
            fail(f"{address:#x} is listed twice")
        blocks[address] = block["size"]
    return blocks


def compare(table, blocks, at_rest, waits=False):
    for address, size in table.held.items():
        if address not in blocks:
            fail(f"missing: {address:#x} of {size} bytes")
        if blocks[address] != size:
            fail(f"{address:#x}: {blocks[address]} bytes listed, {size} held")
    extra = {a for a in blocks if a not in table.held and a not in table.maybe} - table.others
    if at_rest:
        if table.visited and table.visited != len(blocks):
            fail(f"{len(blocks)} blocks listed, the process itself counts {table.visited}")
        if table.visited and table.visited_bytes != sum(blocks.values()):
            fail("the process itself counts other bytes")
        if extra:
            fail(f"{len(extra)} blocks too many, as {min(extra):#x}")
        return
    # One for each call that was cut short; what a thread is in, its slot says. Where freed blocks
    # wait, a call that frees also has those in its hands that move up and leave for its own.
    most = table.unsure + (2 * table.freeing if waits else 0)
    if table.unsure > THREADS or len(extra) > most:
        fail(f"{len(extra)} blocks too many, {table.unsure} in flight, as {min(extra, default=0):#x}")


def start(args, folder, seed, mode):
    table = os.path.join(folder, "table")
    environment = dict(os.environ, **args.environment)
    if args.preload != "none":
        environment["LD_PRELOAD"] = args.preload
    limit = resource.RLIM_INFINITY
    return table, subprocess.Popen(
        [args.holder, table, str(seed), str(args.steps), mode], cwd=folder, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)))


def find_core(folder):
    names = [name for name in os.listdir(folder) if name.startswith("core")]
    if not names:
        return None
    return os.path.join(folder, names[0])


def run_one(args, seed, mode):
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        kind = {"live": "wait", "gcore": "wait", "core": "abort", "crash": "crash"}[mode]
        table, process = start(args, folder, seed, kind)
        try:
            if kind == "wait":
                if process.stdout.readline() != "ready\n":
                    fail(f"the program ended: {process.stderr.read()}")
                what = process.pid
                if mode == "gcore":
                    made = subprocess.run(["gcore", "-o", f"{folder}/core", str(process.pid)],
                                          capture_output=True, text=True)
                    what = f"{folder}/core.{process.pid}"
                    if made.returncode != 0 or not os.path.exists(what):
                        fail(f"gcore: {made.stderr}")
            else:
                process.wait(timeout=120)
                if process.returncode != -6:
                    fail(f"the program ended with {process.returncode}: {process.stderr.read()}")
                what = find_core(folder)
                if what is None:
                    return False
            waits = args.environment.get("TIDE_OPTIONS") in ("harden=2", "harden=3")
            compare(Table(table), listed(args.build, what), mode != "crash", waits)
            check(args.build, what, mode != "crash")
            return True
        finally:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("TIDE_BUILD", "build/release"))
    parser.add_argument("--holder", help="the program; else of the build")
    parser.add_argument("--preload", help="the library; else of the build; 'none' for none")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--modes", default="live,gcore,core,crash")
    parser.add_argument("--folder", help="for cores")
    parser.add_argument("--environment", nargs="*", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    args.environment = dict(pair.split("=", 1) for pair in args.environment)
    args.build = os.path.abspath(args.build)
    args.holder = args.holder or f"{args.build}/bin/heap_holder"
    if args.preload is None:
        args.preload = f"{args.build}/lib/libtide.so"
    done = {}
    for seed in range(args.first, args.first + args.seeds):
        for mode in args.modes.split(","):
            if mode == "gcore" and shutil.which("gcore") is None:
                done[mode] = "no gcore on this machine"
                continue
            try:
                ran = run_one(args, seed, mode)
            except AssertionError as error:
                print(f"seed {seed}, {mode}: {error}", file=sys.stderr)
                return 1
            if ran:
                done[mode] = done.get(mode, 0) + 1
            else:
                done.setdefault(mode, "no cores on this machine: see /proc/sys/kernel/core_pattern")
    print(", ".join(f"{mode}: {count} runs, 0 missing, 0 extra" if isinstance(count, int)
                    else f"{mode}: {count}" for mode, count in done.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
