#!/usr/bin/env python3
"""Example: TIDE_BUILD=build/release tests/heap/core_size.py --mib 400

A program (tests/heap/core_size.c) fills its heap and frees most of it in random order; once it has
rested, its core must be small, and have all that is live: every block is listed, and its contents
are checked against a checksum that the program wrote beside it. The same for a core of gcore.
"""
import argparse
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import exact

HEAD = 4 * 8
MIB = 1 << 20
PAGE = 4096
STEP = MIB // 2  # what is left out of cores is whole steps


def read_table(path):
    with open(path, "rb") as file:
        live, live_bytes, metadata, _ = struct.unpack("4Q", file.read(HEAD))
        rows = list(struct.iter_unpack("3Q", file.read(24 * live)))
    return live_bytes, metadata, rows


def left_out_mib(pid):
    """What cores leave out, and resident KiB, of a process."""
    left_out = size = resident = 0
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps:
        for line in smaps:
            if line.startswith("Size:"):
                size = int(line.split()[1])
            elif line.startswith("Rss:"):
                resident += int(line.split()[1])
            elif line.startswith("VmFlags:") and " dd" in line:
                left_out += size
    return left_out / 1024, resident


def wait_for_rest(process, seconds=20):
    """Until nothing has changed for half a second."""
    before, same = None, 0
    end = time.monotonic() + seconds
    while same < 10 and time.monotonic() < end:
        time.sleep(0.05)
        now = left_out_mib(process.pid)
        same = same + 1 if now == before else 0
        before = now
    return before[0]


def segments(core):
    """Address, bytes in the file and their place, of each part of the memory."""
    with open(core, "rb") as file:
        head = file.read(64)
        start, = struct.unpack_from("<Q", head, 32)
        step, count = struct.unpack_from("<HH", head, 54)
        file.seek(start)
        table = file.read(step * count)
    found = []
    for i in range(count):
        kind, _, place, address, _, in_file, _, _ = struct.unpack_from("<IIQQQQQQ", table, i * step)
        if kind == 1 and in_file:
            found.append((address, in_file, place))
    return sorted(found)


def checksum(data):
    value = 14695981039346656037
    for word, in struct.iter_unpack("<Q", data):
        value = ((value ^ word) * 1099511628211) & 0xffffffffffffffff
    return value


def check_contents(core, rows):
    parts = segments(core)
    at = 0
    with open(core, "rb") as file:
        for address, size, wanted in sorted(rows):
            while at < len(parts) and parts[at][0] + parts[at][1] <= address:
                at += 1
            data, here, part = b"", address, at
            # A block may lie on two parts.
            while len(data) < size and part < len(parts) and parts[part][0] <= here:
                start, in_file, place = parts[part]
                some = min(size - len(data), start + in_file - here)
                file.seek(place + here - start)
                data += file.read(some)
                here += some
                part += 1
            if len(data) != size or checksum(data) != wanted:
                exact.fail(f"the block at {address:#x}, {size} bytes, is not whole in the core")


def check_core(args, core, rows):
    listed = exact.listed(args.build, core)
    for address, size, _ in rows:
        if listed.pop(address, 0) < size:
            exact.fail(f"{core}: the block at {address:#x}, {size} bytes, is not listed")
    if listed:
        exact.fail(f"{core}: {len(listed)} blocks are listed that nobody holds")
    check_contents(core, rows)


def check_gcore(args, folder, pid, table):
    core = f"{folder}/by_gcore"
    subprocess.run(["gcore", "-o", core, str(pid)], check=True, capture_output=True)
    check_core(args, f"{core}.{pid}", read_table(table)[2])
    os.unlink(f"{core}.{pid}")


def run(args, mib, mode):
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        table = f"{folder}/table"
        limit = resource.RLIM_INFINITY
        environment = dict(os.environ, LD_PRELOAD=f"{args.build}/lib/libtide.so")
        process = subprocess.Popen(
            [f"{args.build}/bin/heap_core_size", table, str(mib), mode], cwd=folder,
            env=environment, stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)))
        try:
            if process.stdout.readline() != "ready\n":
                exact.fail("the program ended")
            left_out = wait_for_rest(process)
            with open(f"/proc/{process.pid}/maps", encoding="ascii", errors="replace") as maps:
                mappings = len(maps.readlines())
            if shutil.which("gcore") is not None:
                check_gcore(args, folder, process.pid, table)
            process.send_signal(signal.SIGABRT)
            process.wait(timeout=120)
        finally:
            process.kill()
            process.wait()
        core = exact.find_core(folder)
        if core is None:
            return None
        live_bytes, metadata, rows = read_table(table)
        pages, steps = set(), set()
        for address, size, _ in rows:
            pages.update(range(address // PAGE, (address + size - 1) // PAGE + 1))
            steps.update(range(address // STEP, (address + size - 1) // STEP + 1))
        check_core(args, core, rows)
        status = os.stat(core)
        return {"size": status.st_size, "disk": status.st_blocks * 512, "live": live_bytes,
                "metadata": metadata, "floor": len(pages) * PAGE,
                "steps": len(steps) * STEP, "left_out": left_out,
                "blocks": len(rows), "mappings": mappings}


def main():
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("TIDE_BUILD", "build/release"))
    parser.add_argument("--mib", type=int, default=400)
    parser.add_argument("--folder", help="for cores")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    empty = run(args, 0, "groups")
    if empty is None:
        print("no cores on this machine: see /proc/sys/kernel/core_pattern")
        return 0
    failed = False
    for mode in "peak", "groups", "scattered":
        got = run(args, args.mib, mode)
        used = got["live"] + got["metadata"]
        size, disk = got["size"] - empty["size"], got["disk"] - empty["disk"]
        floor = got["floor"] + got["metadata"]
        print(f"{mode}: live {got['live'] / MIB:.1f} MiB in {got['blocks']} blocks, all whole; "
              f"metadata {got['metadata'] / MIB:.1f}; steps {got['steps'] / MIB:.1f}; "
              f"core {size / MIB:.1f} = {size / used:.3f}x, "
              f"on disk {disk / MIB:.1f}; {got['left_out']:.0f} MiB left out with "
              f"{got['mappings'] - empty['mappings']} mappings more")
        # What stays of a peak is all that the core has. Free blocks between live ones are too fine
        # to be left out; what can be is steps, and at most so many ranges of them.
        # Slabs of sizes of which there are few are partly full, whatever the size of the heap.
        most = {"peak": 1.10 * used, "groups": 1.6 * (got["steps"] + got["metadata"])}
        if size > most.get(mode, size):
            failed = True
            print(f"{mode}: the core is larger than {most[mode] / MIB:.1f} MiB", file=sys.stderr)
        if disk > 1.10 * floor:
            failed = True
            print(f"{mode}: the core takes more of the disk than 1.10x of the pages in use",
                  file=sys.stderr)
        # One for 32 MiB and 24 for each zone; and the large zone's own.
        if got["mappings"] - empty["mappings"] > args.mib / 32 + 3 * 24 + 4:
            failed = True
            print(f"{mode}: too many mappings", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    exact.end_with(main)
