#!/usr/bin/env python3
"""Example: TIDE_BUILD=build/release tests/heap/sampled_test.py

In a process that is profiled `info` says where a sampled block was allocated, and `check` finds
nothing wrong with the marks that samples leave in thread caches; alive and in a core.
"""
import json
import os
import resource
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import exact

BUILD = os.path.abspath(os.environ.get("TIDE_BUILD", "build/release"))
PROFILED = {"TIDE_PROFILE": "on", "TIDE_PROFILE_RATE": "1KiB",
            "LD_PRELOAD": f"{BUILD}/lib/libtide.so"}


def ask(what, *question):
    run = subprocess.run([f"{BUILD}/bin/tide", "heap", what, *question], capture_output=True,
                         text=True, timeout=120)
    if run.returncode != 0 or run.stderr:
        exact.fail(f"{question}: exit {run.returncode}: {(run.stdout + run.stderr).strip()[:300]}")
    return run.stdout


def look_at(what):
    ask(what, "check")
    # So large that one of them is no sample but once in e^48 times.
    blocks = [a for a, size in exact.listed(BUILD, what).items() if 50000 <= size < 60000]
    if len(blocks) != 16:
        exact.fail(f"{len(blocks)} of 16 blocks")
    for block in blocks:
        answer = json.loads(ask(what, "info", hex(block + 80), "--json"))
        if "allocated" not in answer:
            exact.fail("a sampled block has no stack")
    stack = answer["allocated"]
    if len(stack["frames"]) != len(stack["places"]) or stack["thread"] <= 0:
        exact.fail(f"a stack that is none: {stack}")
    if not any(place.startswith("allocate_all") for place in stack["places"]):
        exact.fail(f"allocate_all is not in the stack: {stack['places']}")
    text = ask(what, "info", hex(blocks[0]))
    if f"allocated by thread {stack['thread']} at:" not in text or " allocate_all" not in text:
        exact.fail(f"no stack in the text: {text}")


def main():
    program = [f"{BUILD}/bin/heap_sampled"]
    process = subprocess.Popen([*program, "wait"], env=dict(os.environ, **PROFILED),
                               stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()
        look_at(str(process.pid))
    finally:
        process.kill()
        process.wait()
    with tempfile.TemporaryDirectory() as folder:
        everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        subprocess.run(program, cwd=folder, env=dict(os.environ, **PROFILED),
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, everything))
        core = exact.find_core(folder)
        if core is not None:
            look_at(core)
    print("alive" + ("" if core is None else " and in a core") + ": the stack of a sampled block")
    return 0


if __name__ == "__main__":
    exact.end_with(main)
