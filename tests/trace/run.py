#!/usr/bin/python3
"""Programs recorded by libtide-trace.so: what the trace says is what the programs say of themselves.

  tests/trace/run.py                     all cases (ctest sets TIDE_BUILD)
  tests/trace/run.py counts.jemalloc
  tests/trace/run.py --list

counts.ALLOCATOR: a random workload in threads and forked children, every operator new and delete;
odd.CASE: programs that begin, end and go on in unusual ways. Exit status: 0 all passed, 1 a failure,
2 bad usage, 77 an allocator that is not installed.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ.get("TIDE_BUILD", "build/release")).resolve()
ALLOCATORS = {
    "glibc": None,
    "jemalloc": "libjemalloc.so.2",
    "mimalloc": "libmimalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
    "tide": str(BUILD / "lib/libtide.so"),
}
STACKS = ("none", "fp", "unwind")
NOTHING_WRONG = ("lost", "noted_lost", "gaps", "broken", "double_blocks", "short_blocks")
OPERATORS = {"new": 3, "new[]": 12, "new (form)": 4080, "delete": 3, "delete[]": 12,
             "delete (form)": 4080}
# What `trace_operators failing` adds. Not on mimalloc, which ends the process where operator new fails.
FAILURES = {"new": 1, "new (form)": 1, "malloc": 1, "free": 1}
BLOCKS = {"malloc": 100, "free": 50}

# name: exit status, and for each process in order the calls between its markers.
ODD = {
    "fork_loop": (0, [{"malloc": 500, "free": 250}] + 50 * [{"malloc": 20, "free": 10}]),
    "threads_end": (0, [{"malloc": 31000}]),
    "thread_values": (0, [{"malloc": 100}]),
    "small_stacks": (0, [{"malloc": 200}]),
    "signals": (0, [{"malloc": 2000, "free": 1000}]),
    "timers": (0, [{"malloc": 200000, "free": 100000}]),
    "coroutines": (0, [{"malloc": 100, "free": 100, "mmap": 1}]),
    "close_all_and_exec": (0, [{}, BLOCKS]),
    "vfork_and_exec": (0, [{"malloc": 20, "free": 10}] + 5 * [BLOCKS]),
    "all_execs": (0, [{"malloc": 10, "free": 5}] + 7 * [{"malloc": 20, "free": 10}, BLOCKS]),
    "spawns": (0, [{"malloc": 10, "free": 5}] + 4 * [BLOCKS]),
    "replaced_preloads": (0, [{"malloc": 20, "free": 10}] + 7 * [{"malloc": 20, "free": 10}, BLOCKS] +
                             4 * [BLOCKS]),
    # popen has the C library allocate a stream, and give it back.
    "shells": (0, [{"malloc": 12}, {}, {}, {}]),
    "mappings": (0, [{"mmap": 200, "munmap": 200, "madvise": 200, "failed": 200, "mremap": 100,
                      "mremap result": 100, "brk": 100}]),
    "controls": (0, [{"malloc": 30, "free": 15}]),
    "exit_in_the_middle": (3, [BLOCKS]),
    "abort_in_the_middle": (128 + 6, [BLOCKS]),
    "kill_in_the_middle": (128 + 9, [BLOCKS]),
    "exec_in_the_middle": (0, [BLOCKS, BLOCKS]),
    "clear_environment": (0, [BLOCKS]),
    "realloc_to_nothing": (0, [{"malloc": 10, "realloc": 10, "realloc result": 10, "free": 10}]),
}
# What the processes say of each other, in all: children made by fork, programs executed, spawned.
PROCESS_NOTES = {"all_execs": {"process 1": 7, "process 2": 7},
                 "spawns": {"process 4": 4},
                 "replaced_preloads": {"process 1": 7, "process 2": 7, "process 4": 4},
                 "shells": {"process 4": 3},
                 "exec_in_the_middle": {"process 2": 1},
                 "fork_loop": {"process 1": 50}}
# Threads that end, and setenv(), have the C library allocate a few things more.
AT_LEAST = ("threads_end", "replaced_preloads")


class Failure(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Failure(text)


def allocator_path(name):
    """What LD_PRELOAD needs to have the allocator; exits with 77 when it is not here."""
    library = ALLOCATORS[name]
    if library is None or library.startswith("/"):
        return library
    found = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    for line in found.splitlines():
        if line.split() and line.split()[0] == library:
            return line.split("=> ")[1].strip()
    print(f"no {library} here")
    sys.exit(77)


def record(allocator, options, command):
    """The exit status of the command and its processes' traces."""
    preload = [str(BUILD / "lib/libtide-trace.so"), allocator_path(allocator)]
    environment = dict(os.environ, TRACE_PRELOAD=":".join(filter(None, preload)))
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "trace.json")
        run = subprocess.run([BUILD / "bin/trace_collector", *options, output, *command],
                             env=environment, capture_output=True, text=True, timeout=120)
        expect(run.stderr == "", f"standard error: {run.stderr}")
        with open(output) as file:
            trace = json.load(file)
    expect(trace["arena_lost"] == 0, f"{trace['arena_lost']} events of no process lost")
    for process in trace["processes"]:
        for name in NOTHING_WRONG:
            expect(process[name] == 0, f"process {process['number']}: {name} {process[name]}")
    return run.returncode, trace["processes"]


def expect_calls(process, calls):
    for name, count in calls.items():
        found = process["calls"].get(name, 0)
        expect(found == count, f"process {process['number']}: {found} of {name}, not {count}")


def expect_serves(process, allocator):
    served_by = [note for note in process["notes"] if note.startswith("note 6 ")]
    name = pathlib.Path(ALLOCATORS[allocator] or "libc.so").name
    expect(len(served_by) == 1 and name in served_by[0], f"served by {served_by}, not {name}")


def check_counts(allocator):
    for seed, stacks in enumerate(STACKS):
        with tempfile.TemporaryDirectory() as folder:
            status, processes = record(allocator, [f"stacks={stacks}"],
                                       [BUILD / "bin/trace_workload", folder, str(seed), "3",
                                        "20000", "2"])
            expect(status == 0 and len(processes) == 3, f"status {status}, {len(processes)} processes")
            for process in processes:
                own = json.loads((pathlib.Path(folder) / str(process["pid"])).read_text())
                expect_serves(process, allocator)
                expect_calls(process, own["calls"])
                expect(process["unknown_frees"] == 0, f"unknown frees: {process['unknown_frees']}")
                expect(process["live_bytes"] == own["live_bytes"],
                       f"{process['live_bytes']} live bytes, not {own['live_bytes']}")
                expect(process["threads"] == 4, f"{process['threads']} threads")
                expect((sum(process["paths"][1:]) > 0) == (allocator == "tide"),
                       f"paths {process['paths']}")
                expect((process["stacks"] > 0) == (stacks != "none"), f"{process['stacks']} stacks")
    fails = allocator != "mimalloc"
    status, processes = record(allocator, [], [BUILD / "bin/trace_operators"] + fails * ["failing"])
    expect(status == 0 and len(processes) == 1, f"operators: status {status}")
    expect_calls(processes[0], {name: count + fails * FAILURES.get(name, 0)
                                for name, count in {**dict.fromkeys(FAILURES, 0),
                                                     **OPERATORS}.items()})
    expect(processes[0]["live_blocks"] == 0, f"operators: {processes[0]['live_blocks']} live")


def check_odd(case):
    expected_status, expected = ODD[case]
    for allocator in ("glibc", "tide"):
        for stacks in STACKS:
            status, processes = record(allocator, [f"stacks={stacks}"],
                                       [BUILD / "bin/trace_odd", case])
            expect(status == expected_status, f"{allocator}, {stacks}: status {status}")
            expect(len(processes) == len(expected), f"{len(processes)} processes")
            notes = [note for process in processes for note in process["notes"]]
            for kind, count in PROCESS_NOTES.get(case, {}).items():
                found = sum(note.startswith(kind + " ") for note in notes)
                expect(found == count, f"{found} notes '{kind}', not {count}")
            for process, calls in zip(processes, expected):
                if case in AT_LEAST:
                    calls = {name: max(count, min(process["calls"][name], count + 10))
                             for name, count in calls.items()}
                expect_calls(process, calls)
                expect(process["unknown_frees"] == 0, f"unknown frees: {process['unknown_frees']}")


def check_paths():
    """100 pairs from the thread's cache, 5,000 blocks that need refills, 3 spans, 2 huge blocks."""
    for stacks in STACKS:
        _, processes = record("tide", [f"stacks={stacks}"], [BUILD / "bin/trace_odd", "paths"])
        cache, refill, span, system = processes[0]["paths"]
        expect(cache >= 4500 and 20 <= refill <= 400 and 1 <= span <= 3 and 2 <= system <= 60,
               f"paths {processes[0]['paths']}")


def check_first_in_setlocale():
    """The program's first malloc is setlocale's, which holds the lock that messages need."""
    for allocator in ("glibc", "tide"):
        status, processes = record(allocator, [], ["/usr/bin/env", "LC_ALL=C.UTF-8", "/bin/bash",
                                                   "-c", "true"])
        expect(status == 0 and processes, f"status {status}")


def check_full():
    """An arena of two packets: nobody waits where it says so, everybody where not."""
    command = [BUILD / "bin/trace_odd", "blocks"]
    _, processes = record("glibc", ["packets=2", "lazy=5"], command)
    expect_calls(processes[0], BLOCKS)


def cases():
    return ([f"counts.{name}" for name in ALLOCATORS] + [f"odd.{name}" for name in ODD] +
            ["full.waits", "path.tide", "setlocale.first"])


def run(case):
    kind, name = case.split(".", 1)
    try:
        if kind == "counts":
            check_counts(name)
        elif kind == "odd":
            check_odd(name)
        elif kind == "setlocale":
            check_first_in_setlocale()
        elif kind == "path":
            check_paths()
        else:
            check_full()
    except Failure as failure:
        print(f"{case}: {failure}")
        return False
    return True


def main():
    chosen = sys.argv[1:]
    if chosen == ["--list"]:
        print("\n".join(cases()))
        return 0
    if chosen == ["--help"]:
        print(__doc__.strip())
        return 0
    unknown = set(chosen) - set(cases())
    if unknown:
        print(f"tests/trace/run.py: no case {sorted(unknown)[0]}; see --list", file=sys.stderr)
        return 2
    results = [run(case) for case in chosen or cases()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
