#!/usr/bin/python3
"""Random programs that know what they call, recorded: counts of each call and the live bytes at the end of
each of their phases are those of the trace.

  tests/trace/exact_test.py                       five runs, one on each allocator (ctest sets TIDE_BUILD)
  tests/trace/exact_test.py --runs 100 --first 7  more; a run's number is its seed

Threads hand blocks to each other, resize them, and go on in forked children. Exit status 1: a difference.
"""

import argparse
import csv
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ.get("TIDE_BUILD", "build/release")).resolve()
ALLOCATORS = {"glibc": "", "jemalloc": "libjemalloc.so.2", "mimalloc": "libmimalloc.so.2",
              "tcmalloc": "libtcmalloc_minimal.so.4", "tide": str(BUILD / "lib/libtide.so")}
GIVES = ("malloc", "calloc", "aligned_alloc", "posix_memalign", "realloc", "reallocarray")
OPTIONS = ([], ["--stacks", "fp"], ["--buffer", "4M"], [])


def is_here(library):
    found = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    return "/" in library or not library or f"\t{library} " in found


def figures(path, live_before):
    """Calls between the markers "begin" and "end", live bytes at the others, from a trace as CSV."""
    calls, curve = {}, []
    live, is_on = 0, False
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            call, size = row["call"], int(row["size"])
            if call == "note":
                if row["extra1"] == "7" and row["pointer"] != "0":
                    live += size  # the parent's
                elif row["text"] in ("begin", "end"):
                    is_on = row["text"] == "begin"
                    others = live - live_before if is_on else 0
                elif is_on and row["text"][:1] == "p":
                    curve.append(live - others)
                continue
            live -= int(row["gone"])
            if row["pointer"] == "0":
                continue  # also free(NULL), of which the C library does many
            if call in GIVES:
                live += size
            if is_on:
                calls[call] = calls.get(call, 0) + 1
    return calls, curve


def compare(own, found, threads):
    """What is different. With a thread the C library takes a block or two for itself."""
    calls, curve = found
    around = 2 * threads
    for call, count in own["calls"].items():
        more = calls.get(call, 0) - count
        if more != 0 and not (call in ("calloc", "free", "malloc") and 0 < more <= around):
            yield f"{call}: {calls.get(call, 0)}, not {count}"
    more = [a - b for a, b in zip(curve, own["curve"])]
    if len(curve) != len(own["curve"]) or not all(0 <= m <= 1000 * around for m in more):
        yield f"live bytes {curve}, not {own['curve']}"


def run(seed, folder):
    pick = random.Random(seed)
    name = list(ALLOCATORS)[seed % len(ALLOCATORS)]
    threads, phases, operations, forks = (pick.randint(1, 6), pick.randint(1, 6),
                                          pick.randint(200, 6000), pick.randint(0, 3))
    if not is_here(ALLOCATORS[name]):
        return 0, []
    own, trace = folder / "own", folder / "trace"
    own.mkdir()
    command = [BUILD / "bin/trace_exact", own, seed, threads, phases, operations, forks]
    done = subprocess.run([BUILD / "bin/tide", "trace", "-q", "-o", trace, *pick.choice(OPTIONS),
                           "--", *map(str, command)], capture_output=True, text=True,
                          env=dict(os.environ, LD_PRELOAD=ALLOCATORS[name]))
    if done.returncode != 0:
        return 0, [f"status {done.returncode}: {done.stderr}"]
    info = subprocess.run([BUILD / "bin/tide", "info", trace, "--json"], capture_output=True,
                          text=True, check=True)
    processes = json.loads(info.stdout)["processes"]
    wrong = [] if len(processes) == forks + 1 else [f"{len(processes)} processes, not {forks + 1}"]
    compared = live_before = 0
    for process in sorted(processes, key=lambda process: process["number"]):
        for key in ("lost_events", "unknown_releases", "missed_releases"):
            if process[key] != 0:
                wrong.append(f"{key}: {process[key]}")
        out = folder / f"{process['number']}.csv"
        subprocess.run([BUILD / "bin/tide", "convert", trace, "-o", out, "--process",
                        str(process["number"])], check=True, capture_output=True)
        known = json.loads((own / str(process["process_id"])).read_text())
        found = figures(out, live_before)
        wrong += compare(known, found, threads)
        compared += sum(found[0].values())
        live_before = live_before or known["curve"][-1]  # the first one's: what children begin with
    return compared, [f"{name}, {threads} threads: {text}" for text in wrong]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--first", type=int, default=1)
    args = parser.parse_args()
    calls = differences = 0
    for seed in range(args.first, args.first + args.runs):
        with tempfile.TemporaryDirectory() as folder:
            compared, wrong = run(seed, pathlib.Path(folder))
        calls += compared
        differences += bool(wrong)
        for text in wrong:
            print(f"run {seed}: {text}", flush=True)
    print(f"{args.runs} runs, {calls} calls, {differences} runs with a difference")
    return int(differences != 0)


sys.exit(main())
