#!/usr/bin/env python3
"""tide info on traces whose writer knows what is in them, and on files that are none."""

import json
import os
import subprocess
import tempfile

BUILD = os.path.abspath(os.environ.get("TIDE_BUILD", "build/release"))
TIDE = f"{BUILD}/bin/tide"


def fail(text):
    raise SystemExit(f"FAILED: {text}")


def write(folder, events, threads, seed, live=10000):
    run = subprocess.run([f"{BUILD}/bin/write_trace", folder, str(events), str(threads), str(seed),
                          str(live)], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def info(*arguments):
    return subprocess.run([TIDE, "info", *arguments], capture_output=True, text=True, timeout=120)


def read_json(*arguments):
    run = info("--json", *arguments)
    if run.returncode != 0 or run.stderr:
        fail(f"tide info {arguments}: exit {run.returncode}: {run.stderr}")
    return json.loads(run.stdout)


def compare(found, known):
    for key in ("calls", "allocations", "allocated_bytes", "leaked_bytes", "leaked_blocks",
                "foreign_releases"):
        if found[key] != known[key]:
            fail(f"{key}: {found[key]}, and the program says {known[key]}")
    if found["peak"]["bytes"] != known["peak_bytes"]:
        fail(f"peak {found['peak']['bytes']}, and the program says {known['peak_bytes']}")
    for key in ("moved", "in_place"):
        if found["reallocs"][key] != known[key]:
            fail(f"reallocs {key}: {found['reallocs'][key]}, and the program says {known[key]}")
    for key in ("lost_events", "unknown_releases", "missed_releases", "damaged_chunks"):
        if found[key] != 0:
            fail(f"{key}: {found[key]}")


def exact(folder):
    for seed in range(10):
        trace = f"{folder}/t{seed}"
        known = write(trace, 20000, 1 + seed % 5, seed, 10 ** (1 + seed % 4))
        found = read_json(trace)
        compare(found, known)
        compare(found["processes"][0], known)
        for path in (f"{trace}/1-made-up", f"{trace}/1-made-up/events.tide"):
            compare(read_json(path), known)
        sum_of_bins = sum(row["count"] for row in found["sizes"])
        if sum_of_bins != known["allocations"]:
            fail(f"the histogram has {sum_of_bins} of {known['allocations']} allocations")


def older():
    """A recording of a version that wrote chunks by codec 2; its program says what it did."""
    found = read_json(os.path.join(os.path.dirname(__file__), "older", "codec2.tide"))
    if found["calls"] != {"malloc": 3040, "free": 3041, "calloc": 1}:
        fail(f"calls of an older trace: {found['calls']}")
    if (found["allocated_bytes"], found["leaked_blocks"]) != (819016, 0):
        fail(f"bytes of an older trace: {found['allocated_bytes']}, {found['leaked_blocks']} leaked")


def text(folder):
    run = info(f"{folder}/t1")
    for word in ("made-up", "Calls", "malloc", "Sizes of allocations", "Lifetimes", "peak",
                 "Over time", "THREAD"):
        if word not in run.stdout:
            fail(f"'{word}' is not in the text:\n{run.stdout}")


def slices(folder):
    """The parts of a trace have what the whole has."""
    trace = f"{folder}/t3"
    whole = read_json(trace)
    middle = whole["processes"][0]["begin_ns"] + whole["duration_ns"] // 2
    first = read_json("--slice", f"..{middle}ns", trace)
    second = read_json("--slice", f"{middle}ns..", trace)
    for call, count in whole["calls"].items():
        parts = first["calls"].get(call, 0) + second["calls"].get(call, 0)
        if parts != count:
            fail(f"{call}: {parts} in two slices, {count} in the whole")
    for key in ("leaked_bytes", "leaked_blocks"):
        if second[key] != whole[key]:
            fail(f"{key} of the second slice: {second[key]}, of the whole {whole[key]}")
    if max(first["peak"]["bytes"], second["peak"]["bytes"]) != whole["peak"]["bytes"]:
        fail("neither slice has the peak of the whole")


def bad_files(folder):
    def expect(status, text, *arguments):
        run = info(*arguments)
        if run.returncode != status or text not in run.stderr or run.stderr.count("\n") != 1:
            fail(f"tide info {arguments}: exit {run.returncode}, not {status} and '{text}' in a "
                 f"line: {run.stderr}")

    events = open(f"{folder}/t1/1-made-up/events.tide", "rb").read()
    path = f"{folder}/bad.tide"

    def with_bytes(data):
        with open(path, "wb") as file:
            file.write(data)
        return path

    expect(1, "is empty", with_bytes(b""))
    expect(1, "no trace", with_bytes(b"hello, this is no trace\n" * 100))
    expect(1, "version 9", with_bytes(events[:8] + b"\x09" + events[9:]))
    expect(1, "offset", with_bytes(events[:-100]))
    middle = len(events) // 2
    flipped = events[:middle] + bytes([events[middle] ^ 0x40]) + events[middle + 1:]
    expect(1, "--salvage reads what is intact", with_bytes(flipped))
    if info(path).stderr.count(path) != 1:
        fail(f"the file is not named once: {info(path).stderr}")
    salvaged = read_json("--salvage", path)
    if salvaged["damaged_chunks"] != 1:
        fail(f"{salvaged['damaged_chunks']} damaged chunks instead of 1")
    expect(1, "cannot be opened", f"{folder}/nothing")
    expect(1, "tide heap", "/bin/true")
    expect(2, "time range", "--slice", "soon", f"{folder}/t1")
    expect(1, "no process 99", "--process", "99", f"{folder}/t1")
    expect(2, "no file given")


def main():
    older()
    with tempfile.TemporaryDirectory() as folder:
        exact(folder)
        text(folder)
        slices(folder)
        bad_files(folder)
    print("ok")


if __name__ == "__main__":
    main()
