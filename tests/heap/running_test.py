#!/usr/bin/env python3
"""Example: TIDE_BUILD=build/release tests/heap/running_test.py

Processes that go on while `tide heap --no-stop` looks at them, and what a look may not cost: pages
that a process never touched.
"""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import exact

BUILD = os.path.abspath(os.environ.get("TIDE_BUILD", "build/release"))


def ask(*words):
    run = subprocess.run([f"{BUILD}/bin/tide", "heap", *map(str, words)], capture_output=True,
                         text=True, timeout=120)
    if run.returncode != 0:
        exact.fail(f"{words}: exit {run.returncode}: {run.stderr}")
    return run


class Program:
    def __init__(self, *words, library=f"{BUILD}/lib/libtide.so"):
        environment = dict(os.environ, LD_PRELOAD=library)
        self.process = subprocess.Popen([f"{BUILD}/bin/{words[0]}", *words[1:]], env=environment,
                                        stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.said = {}
        for line in self.process.stdout:
            words = line.split()
            if words[0] == "ready":
                break
            self.said[words[0]] = words[1:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def status(self, field):
        with open(f"/proc/{self.pid}/status") as file:
            return int(re.search(rf"^{field}:\s+(\d+)", file.read(), re.M)[1])


def blocks_of(run):
    return {json.loads(line)["address"] for line in run.stdout.splitlines()}


def check_not_stopped():
    """The line that says what it means; at rest the same blocks; threads are never stopped."""
    with Program("heap_many", "20000", "wait") as program:
        stopped = ask(program.pid, "list", "--ndjson")
        [thread] = json.loads(ask(program.pid, "threads", "--json").stdout)["threads"]
        if not re.fullmatch(r"\w+(\+0x[0-9a-f]+)?", thread["place"]):
            exact.fail(f"the thread is at '{thread['place']}', no function")
        if stopped.stderr:
            exact.fail(f"of a stopped process there is nothing to say: {stopped.stderr}")
        running = ask(program.pid, "--no-stop", "list", "--ndjson")
        if running.stderr.count("\n") != 1 or "goes on meanwhile" not in running.stderr:
            exact.fail(f"--no-stop does not say what it means: '{running.stderr}'")
        if blocks_of(running) != blocks_of(stopped):
            exact.fail("--no-stop lists other blocks of a process that does nothing")
        for question in (["stats"], ["check"], ["leaks"], ["types"], ["threads"]):
            ask(program.pid, "--no-stop", *question)
        # Traced by another one it can't be stopped, and can be looked at all the same.
        tracer = subprocess.Popen([f"{BUILD}/bin/heap_running", "trace", str(program.pid)],
                                  stdout=subprocess.PIPE, text=True)
        try:
            if tracer.stdout.readline() != "traced\n":
                print("no tracing here")
                return
            refused = subprocess.run([f"{BUILD}/bin/tide", "heap", str(program.pid)],
                                     capture_output=True, text=True, timeout=120)
            if refused.returncode != 1 or "--no-stop" not in refused.stderr:
                exact.fail(f"of a traced process: {refused.returncode}, {refused.stderr}")
            ask(program.pid, "--no-stop", "list")
        finally:
            tracer.kill()
            tracer.wait()
            tracer.stdout.close()


def check_busy():
    """Of a process that allocates all the while: what it never frees is listed, each time."""
    with Program("heap_running", "busy") as program:
        kept = set(program.said["kept"])
        for _ in range(20):
            run = ask(program.pid, "--no-stop", "list", "--ndjson")
            missing = kept - blocks_of(run)
            if missing:
                exact.fail(f"{len(missing)} blocks are missing that the program keeps")
        for question in (["stats"], ["leaks"], ["types"], ["frag"]):
            ask(program.pid, "--no-stop", *question)
        if program.process.poll() is not None:
            exact.fail("the process that was looked at has ended")


def check_fragmentation():
    """Pages that were never touched keep nothing; of glibc's arenas only what is live counts as live."""
    with Program("heap_running", "spread") as program:
        totals = json.loads(ask(program.pid, "stats", "--json").stdout)["heaps"][0]
        frag = json.loads(ask(program.pid, "frag", "--json").stdout)
        pages = 4096 * sum(row["pages"] for row in frag["sizes"])
        # What is live, cached or free and dirty, and a page more or less at the ends of each slab.
        known = sum(totals[key] for key in ("live_bytes", "cached_bytes", "free_dirty_bytes"))
        slack = 2 * 4096 * sum(row["spans"] for row in frag["sizes"])
        if not frag["page_bytes"] <= pages <= known + slack:
            exact.fail(f"frag: pages of {pages} bytes may be resident, by stats {known}")
        if "Slabs" in ask(program.pid, "doctor").stdout:
            exact.fail("doctor finds fragmentation in slabs that were never used")
    with Program("heap_running", "spread", library="") as program:
        listed = [json.loads(line) for line in
                  ask(program.pid, "list", "--ndjson").stdout.splitlines()]
        frag = json.loads(ask(program.pid, "frag", "--json").stdout)
        live = sum(block["size"] for block in listed)
        if not live <= frag["live_bytes"] <= live + 4096 * len(listed) // 100:
            exact.fail(f"frag: {frag['live_bytes']} bytes live on glibc, listed are {live}")


def check_untouched():
    """A reservation that may be read: a look at all references leaves its pages untouched."""
    with Program("heap_running", "reserve") as program:
        anchored = program.said["anchored"][0]
        before = program.status("VmPTE")
        for question in (["leaks"], ["analyze"], ["types"], ["refs", anchored]):
            found = ask(program.pid, *question, "--json").stdout
            if question[0] == "leaks" and json.loads(found)["leaked_blocks"] != 0:
                exact.fail("what the touched page in the reservation leads to counts as leaked")
        grown = program.status("VmPTE") - before
        # All of it would be 16 MiB of page tables.
        if grown > 1024:
            exact.fail(f"the process's page tables grew by {grown} KiB")


if __name__ == "__main__":
    try:
        check_not_stopped()
        check_busy()
        check_fragmentation()
        check_untouched()
    except AssertionError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
