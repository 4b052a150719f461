#!/usr/bin/env python3
"""Examples: TIDE_BUILD=build/release tests/heap/truncated.py --every 1
          TIDE_BUILD=build/release tests/heap/truncated.py --glibc --seeds 5

A core that was cut off: whatever is left of it, `tide heap` says what it knows and that it does not
know the rest; it never lists a block that the whole core does not have. On glibc's malloc it lists
every block whose own head and the next one's are there, but for those of which it says that what
would tell whether they are free is missing.
"""
import argparse
import os
import re
import resource
import shutil
import struct
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


def start_on_glibc(args, folder, seed):
    limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
    words = [f"{args.build}/bin/glibc_holder", f"{folder}/table", seed, 1 + seed % 6,
             500 + seed * 7919 % 4000, "abort"]
    return subprocess.Popen(
        [str(word) for word in words], cwd=folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)))


class Present:
    """Which addresses' bytes are in a core file, however short it is."""

    def __init__(self, path):
        size = os.path.getsize(path)
        self.ranges = []
        with open(path, "rb") as file:
            head = file.read(64)
            if len(head) < 64:
                return
            at, = struct.unpack_from("<Q", head, 32)
            count, = struct.unpack_from("<H", head, 56)
            file.seek(at)
            headers = file.read(count * 56)
        for kind, _, offset, address, _, bytes_there, _, _ in struct.iter_unpack(
                "<IIQQQQQQ", headers[:len(headers) // 56 * 56]):
            if kind == 1:
                self.ranges.append((address, address + max(0, min(bytes_there, size - offset))))

    def has(self, address, count):
        return any(start <= address and address + count <= end for start, end in self.ranges)


def readable(blocks, path):
    """Those whose chunk's head is there, and the next chunk's, which says whether it is in use."""
    present = Present(path)
    return {(address, size) for address, size in blocks
            if present.has(address - 16, 16) and present.has(address + size - 8, 16)}


def check_cut(args, part, whole, where):
    run, blocks = listed(args.build, part)
    if "was cut off" not in run.stderr and run.returncode == 0:
        exact.fail(f"{where}: nothing says that it was cut off")
    if run.returncode == 1 and run.stderr.count("\n") > 2:
        exact.fail(f"{where}: more than a line: {run.stderr}")
    if blocks - whole:
        exact.fail(f"{where}: {len(blocks - whole)} blocks that there never were")
    missing = whole - blocks
    if missing and run.returncode == 0 and "are not known" not in run.stderr:
        exact.fail(f"{where}: {len(missing)} blocks are missing without a word")
    if args.glibc:
        lost = readable(missing, part)
        said = re.search(r"(\d+) chunks may be", run.stderr)
        if len(lost) > int(said[1] if said else 0):
            exact.fail(f"{where}: {len(lost)} of {len(whole)} blocks are there and not listed, as "
                       f"{min(lost)[0]:#x}: {run.stderr}")
    return len(blocks)


def main():
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("TIDE_BUILD", "build/release"))
    parser.add_argument("--every", type=float, default=5, help="per cent")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--glibc", action="store_true", help="a program on glibc's malloc")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    args.holder = f"{args.build}/bin/heap_holder"
    args.preload = f"{args.build}/lib/libtide.so"
    args.steps, args.environment = 20000, {}
    cuts = known = 0
    for seed in range(args.first, args.first + args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            if args.glibc:
                process = start_on_glibc(args, folder, seed)
            else:
                _, process = exact.start(args, folder, seed, "abort")
            process.wait(timeout=120)
            core = exact.find_core(folder)
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
                cuts += 1
                known += check_cut(args, part, whole, f"seed {seed}, cut at {step:g} %") != 0
                step -= args.every
    print(f"{cuts} cuts: no block too many, what is missing is said; {known} of them know blocks")
    return 0


if __name__ == "__main__":
    exact.end_with(main)
