#!/usr/bin/env python3
"""Example: TIDE_BUILD=build/release tests/heap/truncated.py --every 1

A core that was cut off: whatever is left of it, `tide heap` says what it knows and that it does not
know the rest; it never lists a block that the whole core does not have.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import exact


def listed(build, core):
    run = subprocess.run([f"{build}/bin/tide", "heap", core, "list"], capture_output=True,
                         text=True, timeout=300)
    if run.returncode not in (0, 1):
        exact.fail(f"exit {run.returncode}: {run.stderr}")
    blocks = set()
    for line in run.stdout.splitlines():
        address, size = line.split()
        blocks.add((int(address, 16), int(size)))
    return run, blocks


def main():
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("TIDE_BUILD", "build/release"))
    parser.add_argument("--every", type=float, default=5, help="per cent")
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    args.holder = f"{args.build}/bin/heap_holder"
    args.preload = f"{args.build}/lib/libtide.so"
    args.steps, args.environment = 20000, {}
    cuts = known = 0
    for seed in range(1, args.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            _, process = exact.start(args, folder, seed, "abort")
            process.wait(timeout=120)
            core = exact.find_core(folder, process)
            if core is None:
                print("no cores on this machine: see /proc/sys/kernel/core_pattern")
                return 0
            _, whole = listed(args.build, core)
            size = os.path.getsize(core)
            part = f"{folder}/part"
            shutil.copy(core, part)
            step = 100 - args.every
            while step > 0:
                os.truncate(part, int(size * step / 100))
                run, blocks = listed(args.build, part)
                where = f"seed {seed}, cut at {step:g} %"
                if "was cut off" not in run.stderr and run.returncode == 0:
                    exact.fail(f"{where}: nothing says that it was cut off")
                if run.returncode == 1 and run.stderr.count("\n") > 2:
                    exact.fail(f"{where}: more than a line: {run.stderr}")
                if blocks - whole:
                    exact.fail(f"{where}: {len(blocks - whole)} blocks that there never were")
                missing = len(whole - blocks)
                if missing and run.returncode == 0 and "are not known" not in run.stderr:
                    exact.fail(f"{where}: {missing} blocks are missing without a word")
                cuts += 1
                known += bool(blocks)
                step -= args.every
    print(f"{cuts} cuts: no block too many, what is missing is said; {known} of them know blocks")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
