#!/usr/bin/env python3
"""tide convert: every format is read back by somebody else, and has what was in the trace."""

import csv
import gzip
import os
import shutil
import subprocess
import tempfile

import info_test
from info_test import TIDE, fail, read_json, write


def convert(*arguments, status=0):
    run = subprocess.run([TIDE, "convert", *arguments], capture_output=True, text=True, timeout=300)
    if run.returncode != status:
        fail(f"tide convert {arguments}: exit {run.returncode}: {run.stderr}")
    return run.stderr


def workload(folder, trace, known):
    convert(trace, "-o", f"{folder}/w.tidew")
    found = read_json(f"{folder}/w.tidew")
    # Forms of operator new stay what they are.
    if found["calls"] != known["calls"]:
        fail(f"calls of the workload: {found['calls']}, of the program {known['calls']}")
    for key in ("allocations", "peak_bytes"):
        if found[key] != known[key]:
            fail(f"{key} of the workload: {found[key]}, of the program {known[key]}")
    if found["live_bytes"] != known["leaked_bytes"]:
        fail(f"live at the end: {found['live_bytes']}, of the program {known['leaked_bytes']}")
    if found["slots"] > found["peak_blocks"] * 1.25 + 1024:
        fail(f"{found['slots']} slots for {found['peak_blocks']} blocks")
    if not 0 < found["handed_over"] <= known["foreign_releases"] + known["calls"]["realloc"]:
        fail(f"{found['handed_over']} operations wait, of {known['foreign_releases']} handed over")


def table(folder, trace, known):
    convert(trace, "-o", f"{folder}/t.csv")
    with open(f"{folder}/t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) != sum(known["calls"].values()):
        fail(f"{len(rows)} rows")
    mallocs = sum(row["call"] == "malloc" for row in rows)
    if mallocs != known["calls"]["malloc"]:
        fail(f"{mallocs} rows of malloc, and the program says {known['calls']['malloc']}")


CTF_NAMES = {"malloc": "lttng_ust_libc:malloc", "free": "lttng_ust_libc:free",
             "calloc": "lttng_ust_libc:calloc", "realloc": "lttng_ust_libc:realloc",
             "posix_memalign": "lttng_ust_libc:posix_memalign", "new": "lttng_ust_libc:malloc",
             "new[]": "lttng_ust_libc:memalign", "delete": "lttng_ust_libc:free"}
# How the events of calls that LTTng's wrapper has no name for say what they are.
CTF_CALLS = {"new": "new", "new[]": "new (form)", "delete": "delete"}


def ctf_count(lines, call):
    lines = [line for line in lines if f" {CTF_NAMES[call]}: " in line]
    if call not in CTF_CALLS:
        return sum(", call = " not in line for line in lines)
    return sum(f', call = "{CTF_CALLS[call]}"' in line for line in lines)


def ctf(folder, trace, known):
    convert(trace, "-o", f"{folder}/ctf", "--to", "ctf")
    run = subprocess.run(["babeltrace2", f"{folder}/ctf"], capture_output=True, text=True)
    if run.returncode != 0 or run.stderr:
        fail(f"babeltrace2 says: {run.stderr[:500]}")
    for call, count in known["calls"].items():
        found = ctf_count(run.stdout.splitlines(), call)
        if found != count:
            fail(f"babeltrace2 reads {found} events {CTF_NAMES[call]}, and there are {count}")
    if "vtid = 4711" not in run.stdout or "procname = " not in run.stdout:
        fail(f"no contexts: {run.stdout[:500]}")
    # And back.
    back = read_json(f"{folder}/ctf")
    for key in ("calls", "allocations", "allocated_bytes", "leaked_bytes"):
        if back[key] != known[key]:
            fail(f"{key} of CTF: {back[key]}, of the program {known[key]}")
    convert(trace, "-o", f"{folder}/ctf", "--to", "ctf", status=1)  # not empty


def profile(folder, trace, known):
    convert(trace, "-o", f"{folder}/p.pb.gz")
    data = gzip.open(f"{folder}/p.pb.gz").read()
    for name in (b"alloc_objects", b"alloc_space", b"inuse_objects", b"inuse_space"):
        if name not in data:
            fail(f"{name} is not in the profile")
    if shutil.which("protoc"):
        run = subprocess.run(["protoc", "--decode_raw"], input=data, capture_output=True)
        if run.returncode != 0:
            fail(f"the profile is no protocol buffer: {run.stderr}")


def anonymous(folder, trace, known):
    convert(trace, "-o", f"{folder}/a.csv", "--anonymize")
    convert(trace, "-o", f"{folder}/b.csv")
    with open(f"{folder}/a.csv") as a, open(f"{folder}/b.csv") as b:
        hidden, plain = list(csv.DictReader(a)), list(csv.DictReader(b))
    if [row["size"] for row in hidden] != [row["size"] for row in plain]:
        fail("sizes are not those of the trace")
    if any(x["pointer"] == y["pointer"] != "0" for x, y in zip(hidden, plain)):
        fail("an address is still there")
    names = {}
    for x, y in zip(hidden, plain):
        if names.setdefault(y["pointer"], x["pointer"]) != x["pointer"]:
            fail("an address has two names")


def heaptrack(folder):
    """What heaptrack wrote is read, with its call stacks, and exported again."""
    run = subprocess.run(["heaptrack", "-o", f"{folder}/heaptrack",
                          f"{info_test.BUILD}/bin/write_trace", f"{folder}/other",
                          "2000", "1", "1"],
                         capture_output=True, text=True, timeout=120)
    files = [name for name in os.listdir(folder) if name.startswith("heaptrack.")]
    if run.returncode != 0 or not files:
        fail(f"heaptrack: {run.stdout}{run.stderr}")
    found = read_json(f"{folder}/{files[0]}")
    if found["calls"]["malloc"] < 100 or found["unknown_releases"] != 0:
        fail(f"of heaptrack's file: {found['calls']}, {found['unknown_releases']} unknown")
    stacks = found["processes"][0]["top_stacks"]["allocated"]
    if not any("main" in frame for row in stacks for frame in row["stack"]):
        fail(f"no call stack leads to main: {stacks}")
    convert(f"{folder}/{files[0]}", "-o", f"{folder}/h.folded")
    with open(f"{folder}/h.folded") as file:
        total = sum(int(line.rsplit(" ", 1)[1]) for line in file)
    # Allocations without a call stack are in no line.
    if not 0 < total <= found["allocated_bytes"]:
        fail(f"{total} bytes in folded stacks, {found['allocated_bytes']} in all")
    convert(f"{folder}/{files[0]}", "-o", f"{folder}/h.tidew")
    if read_json(f"{folder}/h.tidew")["allocations"] != found["allocations"]:
        fail("the workload of heaptrack's file is not all of it")


# What LTTng 2.13 recorded of a program of two threads, which counted 136 of malloc, 34 of calloc, 263 of free
# and the others as they are here; 8 more are the C library's in its first thread.
LTTNG = {"malloc": 136, "calloc": 40, "realloc": 3, "free": 269, "memalign": 27,
         "posix_memalign": 66}


def lttng():
    """A recording of LTTng's libc wrapper itself, also found from a folder above it."""
    here = os.path.dirname(os.path.abspath(__file__))
    for path in (f"{here}/lttng", here):
        found = read_json(path)
        if found["calls"] != LTTNG or found["unknown_releases"] or found["missed_releases"]:
            fail(f"of LTTng's recording: {found['calls']}, {found['unknown_releases']} unknown")
        if found["leaked_bytes"] != 768 or len(found["processes"][0]["threads"]) != 3:
            fail(f"of LTTng's recording: {found['leaked_bytes']} bytes live at the end")


def several(folder):
    """Of several processes each becomes a file, and each file is named with its process."""
    trace = f"{folder}/several"
    subprocess.run([TIDE, "trace", "-q", "-o", trace, "--", "sh", "-c", "ls / | wc; ls /"],
                   stdout=subprocess.DEVNULL, check=True, timeout=120)
    processes = read_json(trace)["processes"]
    if len(processes) < 3:
        fail(f"{len(processes)} processes were recorded")
    lines = convert(trace, "-o", f"{folder}/s.tidew").splitlines()
    wanted = [f"tide convert: {folder}/s.{process['number']}.tidew: process "
              f"{process['process_id']}, {process['program']}" for process in processes]
    if [line for line in lines if ": process " in line] != wanted:
        fail(f"not the files of {wanted}: {lines}")
    if not all(os.path.exists(line.split(": ")[1]) for line in wanted):
        fail(f"not all are there: {wanted}")
    if ": process " in convert("--process", "1", trace, "-o", f"{folder}/s1.tidew"):
        fail("one process needs no line")


def bad_usage(folder, trace):
    for status, arguments in ((2, [trace]), (2, [trace, "-o", f"{folder}/x", "--to", "morse"]),
                              (2, [trace, "-o", f"{folder}/x.folded", "--value", "much"]),
                              (1, [trace, "-o", f"{folder}/x.folded"]),  # it has no stacks
                              (1, [trace, "-o", "/nowhere/x.tidew"]),
                              (1, ["/bin/true", "-o", f"{folder}/x.tidew"])):
        error = convert(*arguments, status=status)
        if error.count("\n") != 1:
            fail(f"tide convert {arguments}: {error}")
    if os.path.exists(f"{folder}/x.folded"):
        fail("a file that is not whole was left")
    if "No space left" not in convert(trace, "-o", "/dev/full", "--to", "csv", status=1):
        fail("a full disk is not said")


def main():
    with tempfile.TemporaryDirectory() as folder:
        trace = f"{folder}/trace"
        known = write(trace, 30000, 4, 5, 500)
        workload(folder, trace, known)
        table(folder, trace, known)
        if shutil.which("babeltrace2"):
            ctf(folder, trace, known)
            lttng()
        profile(folder, trace, known)
        anonymous(folder, trace, known)
        if shutil.which("heaptrack"):
            heaptrack(folder)
        several(folder)
        bad_usage(folder, trace)
    print("ok")


main()
