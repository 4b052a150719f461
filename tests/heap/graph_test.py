#!/usr/bin/env python3
"""Example: TIDE_BUILD=build/release tests/heap/graph_test.py --modes live,gcore,core

tide heap's leaks, retained, path and refs on a program that knows its graphs
(tests/heap/graph_holder.c): alive, as a core of gcore and as one of the kernel's.
"""
import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile

ROWS = ("leaked", "head", "retained", "path", "stack", "thread-local", "inside")


def check(is_so, text):
    if not is_so:
        raise AssertionError(text)


class Known:
    """What the program says of its blocks: address, size, and two figures more."""

    def __init__(self, output):
        self.rows = {name: [] for name in ROWS}
        for line in output:
            line = line.split()
            if line == ["end"]:
                return
            self.rows[line[0]].append((int(line[1], 16), *map(int, line[2:])))
        check(False, "the program ended early")


class Asker:
    def __init__(self, build, what):
        self.command = [f"{build}/bin/tide", "heap", str(what)]

    def __call__(self, *question):
        run = subprocess.run([*self.command, *question, "--json"], capture_output=True, text=True,
                             timeout=120)
        check(run.returncode == 0, f"{question}: exit {run.returncode}: {run.stderr}")
        return json.loads(run.stdout)


def by_address(entries):
    return {int(entry["address"], 16): entry for entry in entries}


def check_leaks(ask, known):
    leaks = ask("leaks")
    expected = {row[0]: row[1] for row in known.rows["leaked"]}
    found = {a: entry["size"] for a, entry in by_address(leaks["blocks"]).items()}
    check(found == expected, f"leaks: missing {hex_set(expected.keys() - found.keys())}, "
                             f"too many {hex_set(found.keys() - expected.keys())}")
    check(leaks["leaked_blocks"] == len(expected), "leaks: number of blocks")
    check(leaks["leaked_bytes"] == sum(expected.values()), "leaks: bytes")
    heads = {a: (h["size"], h["holds_blocks"], h["holds_bytes"])
             for a, h in by_address(leaks["heads"]).items()}
    check(heads == {row[0]: row[1:] for row in known.rows["head"]}, f"leaks: heads {heads}")
    sizes = [head["holds_bytes"] for head in leaks["heads"]]
    check(sizes == sorted(sizes, reverse=True), "leaks: order of heads")
    few = ask("leaks", "--top", "2")
    check(few["heads"] == leaks["heads"][:2] and few["leaked_blocks"] == len(expected), "--top")
    check(ask("path", f"{known.rows['leaked'][0][0]:#x}")["reached"] is False, "path to a leak")


def hex_set(addresses):
    return sorted(map(hex, addresses))


def check_retained(ask, known):
    root = known.rows["retained"][-1]
    for address, size, blocks, held in known.rows["retained"]:
        found = ask("retained", f"{address:#x}")
        check((found["block"]["size"], found["holds_blocks"], found["holds_bytes"])
              == (size, blocks, held), f"retained {address:#x}: {found}")
    tree = ask("retained", f"{root[0]:#x}")
    check(tree["dominator"] is None and tree["children_count"] == 5, f"retained: {tree}")
    held = [child["holds_bytes"] for child in tree["children"]]
    check(held == sorted(held, reverse=True), "retained: order of children")
    check(all(int(c["dominator"], 16) == root[0] for c in tree["children"]), "retained: dominator")
    top = ask("retained", "--top", "100000")["top"]
    check(by_address(top)[root[0]]["holds_bytes"] == root[3], "retained: top")


def check_path(ask, known):
    last = known.rows["path"][-1][0]
    path = ask("path", f"{last + 5:#x}")
    check(path["root"]["root"] == "module" and "heap_graph_holder" in path["root"]["where"],
          f"path: {path}")
    steps = [(int(s["address"], 16), s["size"], s.get("offset", 0), s["into"])
             for s in path["path"]]
    check(steps == known.rows["path"], f"path: {path}")
    for name in ("stack", "thread-local"):
        root = ask("path", f"{known.rows[name][0][0]:#x}")["root"]
        check(root["root"] == name or root["root"] == "register", f"path: {name}: {root}")


def check_refs(ask, known):
    first, second, third = known.rows["path"]
    refs = ask("refs", f"{second[0] + 1:#x}")
    check(by_address(refs["in"])[first[0]]["offset"] == 16, f"refs: {refs}")
    out = [(int(o["address"], 16), o["offset"], o["into"]) for o in refs["out"]]
    check(out == [(third[0], 24, 8)], f"refs: {refs}")
    inside = ask("refs", f"{known.rows['inside'][0][0]:#x}")
    check(any(r.get("root") == "module" and r["into"] == 299 for r in inside["in"]),
          f"refs: {inside}")


def find_core(folder):
    names = [name for name in os.listdir(folder) if name.startswith("core")]
    return os.path.join(folder, names[0]) if names else None


def target_of(mode, process, folder):
    """What tide heap is to be asked of, or None: it can't be had here."""
    if mode == "live":
        return process.pid
    if mode == "gcore":
        core = os.path.join(folder, "core")
        run = subprocess.run(["gcore", "-o", core, str(process.pid)], capture_output=True)
        check(run.returncode == 0, f"gcore: {run.stderr}")
        return find_core(folder)
    process.wait(60)
    return find_core(folder)


def run_one(args, mode):
    limit = resource.RLIM_INFINITY
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if args.preload:
            environment["LD_PRELOAD"] = args.preload
        process = subprocess.Popen(
            [args.holder, "abort" if mode == "core" else "wait"], cwd=folder, env=environment,
            stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)))
        try:
            known = Known(process.stdout)
            what = target_of(mode, process, folder)
            if what is None:
                return False
            ask = Asker(args.build, what)
            for question in (check_leaks, check_retained, check_path, check_refs):
                question(ask, known)
        finally:
            process.kill()
            process.wait()
    return True


def main():
    build = os.environ.get("TIDE_BUILD", "build/release")
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.abspath(build))
    parser.add_argument("--holder")
    parser.add_argument("--preload")
    parser.add_argument("--modes", default="live,gcore,core")
    args = parser.parse_args()
    args.holder = os.path.abspath(args.holder or f"{args.build}/bin/heap_graph_holder")
    if args.preload is None:
        args.preload = f"{args.build}/lib/libtide.so"
    failed = done = 0
    for mode in args.modes.split(","):
        if mode == "gcore" and shutil.which("gcore") is None:
            continue
        try:
            done += run_one(args, mode)
        except AssertionError as error:
            print(f"{mode}: {error}")
            failed += 1
    print(f"{done} passed, {failed} failed")
    return 1 if failed else 0 if done else 77


if __name__ == "__main__":
    sys.exit(main())
