#!/usr/bin/env python3
"""Example: TIDE_BUILD=build/release tests/heap/contents_test.py ZOO [ZOO_WITHOUT_RTTI]

What `tide heap types` and `analyze` say is what the program holds: each class with the number of
objects that it made, each container's nodes, known blocks by what is in them. The program is
stripped; asked are the process, a core of gcore and the core of its end. `dump` has each block's bytes.
"""
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ["TIDE_BUILD"]
TIDE = f"{BUILD}/bin/tide"
SKIPPED = 77


def fail(text):
    raise AssertionError(text)


def ask(what, *question):
    run = subprocess.run([TIDE, "heap", str(what), *question], capture_output=True, text=True,
                         timeout=120)
    if run.returncode != 0 or run.stderr:
        fail(f"tide heap {what} {' '.join(question)}: exit {run.returncode}: {run.stderr.strip()}")
    return run.stdout


def ask_json(what, *question):
    return json.loads(ask(what, *question, "--json"))


class Known:
    """What the program says of itself."""

    def __init__(self, path):
        self.classes, self.kinds, self.near, self.blocks = {}, {}, {}, {}
        for line in path.read_text().splitlines():
            what, first, rest = line.split(" ", 2)
            if what == "block":
                self.blocks[int(first, 16)] = rest
            else:
                {"class": self.classes, "kind": self.kinds, "near": self.near}[what][rest] = int(
                    first)


def check_types(what, known):
    answer = ask_json(what, "types")
    found = {row["type"]: row["blocks"] for row in answer["types"]}
    for name, count in known.classes.items():
        if found.get(name) != count:
            fail(f"{what}: {found.get(name)} blocks of {name}, not {count}")
    if sum(row["blocks"] for row in answer["types"]) != answer["blocks"]:
        fail(f"{what}: types do not add up to {answer['blocks']} blocks")


def check_kinds(what, known):
    answer = ask_json(what, "analyze")
    found = {}
    for row in answer["sizes"]:
        if sum(row["kinds"].values()) != row["blocks"]:
            fail(f"{what}: kinds of {row['size']} bytes do not add up")
        for kind, count in row["kinds"].items():
            found[kind] = found.get(kind, 0) + count
    for kind, count in known.kinds.items():
        if found.get(kind, 0) < count:
            fail(f"{what}: {found.get(kind, 0)} of {kind}, not {count}")
        # The C++ library and stdio hold few blocks of their own.
        if found.get(kind, 0) > count + 5:
            fail(f"{what}: {found[kind]} of {kind}, not {count}")
    for kind, count in known.near.items():
        if not count - 5 <= found.get(kind, 0) <= count + 5:
            fail(f"{what}: {found.get(kind, 0)} of {kind}, not about {count}")


def check_blocks(what, known):
    for address, kind in known.blocks.items():
        info = ask_json(what, "info", hex(address))
        size = info["size"]
        if kind == "text" and info["type"] != "text":
            fail(f"{what}: info says {info['type']} of text")
        entries = ask_json(what, "analyze", str(size), "--top", "10000")["entries"]
        shown = [e["kind"] for e in entries if int(e["address"], 16) == address]
        if shown != [kind]:
            fail(f"{what}: the block of {size} bytes at {address:#x} is {shown}, not {kind}")


def check_dump(what, folder):
    ask(what, "dump", "-o", str(folder))
    run = subprocess.run([TIDE, "heap", str(what), "dump", "-o", str(folder)], capture_output=True,
                         text=True)
    if run.returncode != 1 or "--force" not in run.stderr:
        fail(f"a dump over another: exit {run.returncode}: {run.stderr}")
    ask(what, "dump", "-o", str(folder), "--force")
    listed = sum(1 for _ in ask(what, "list", "--ndjson").splitlines())
    lines = [json.loads(line) for line in (folder / "index.ndjson").read_text().splitlines()]
    if len(lines) != listed:
        fail(f"{what}: {len(lines)} blocks in the dump, {listed} in the list")
    texts = 0
    for line in lines:
        with open(folder / line["file"], "rb") as file:
            file.seek(line["offset"])
            content = file.read(line["size"])
        if len(content) != line["size"]:
            fail(f"{what}: {line} is not all in its file")
        texts += content.startswith(b"string number ")
    if texts < 500:
        fail(f"{what}: {texts} of the program's strings in the dump")


def check_examine(what):
    answer = ask_json(what, "examine", "--words", "4", "--top", "50")
    if len(answer["blocks"]) != 50 or any(len(b["words"]) > 4 for b in answer["blocks"]):
        fail(f"{what}: examine shows {len(answer['blocks'])} blocks")
    # Objects of two words begin with a pointer into the stripped program.
    lines = ask(what, "examine", "16", "--top", "100000").splitlines()
    if sum("<zoo+0x" in line for line in lines) < 1000:
        fail(f"{what}: examine has no pointers to the program: {lines[:5]}")


def check_sizes(what):
    """SIZE is what was asked for: blocks of the next larger size that there is."""
    listed = {}
    for line in ask(what, "list").splitlines():
        size = int(line.split()[1])
        listed[size] = listed.get(size, 0) + 1
    for size in sorted(listed)[1:12] + [max(listed)]:
        rows = ask_json(what, "analyze", str(size - 3))["sizes"]
        if [(row["size"], row["blocks"]) for row in rows] != [(size, listed[size])]:
            fail(f"{what}: analyze {size - 3} shows {rows}, not {listed[size]} of {size}")
        rows = ask_json(what, "stats", hex(size))["heaps"][0]["sizes"]
        if [(row["size"], row["blocks"]) for row in rows] != [(size, listed[size])]:
            fail(f"{what}: stats {size} shows {rows}, not {listed[size]}")
    run = subprocess.run([TIDE, "heap", str(what), "examine", str(1 << 40)], capture_output=True,
                         text=True)
    if run.returncode != 0 or "has no live block of" not in run.stderr:
        fail(f"{what}: examine of a size that no block has: {run.returncode} {run.stderr}")


def check_without_rtti(what, known):
    """No names, but as many blocks of one vtable as objects of each class."""
    found = sorted(row["blocks"] for row in ask_json(what, "types")["types"]
                   if row["kind"] == "object" and row["type"].startswith("(vtable at "))
    for name, count in known.classes.items():
        if not name.endswith("[]") and count not in found:
            fail(f"{what}: no vtable has the {count} blocks of {name}: {found}")


def kernel_core(program, folder):
    """Runs the program to its end with a core in the folder; None where cores go elsewhere."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if "/" in pattern or pattern.startswith("|"):
        return None
    start(program, folder).communicate(b"\n", timeout=200)
    return next(folder.glob("core*"), None)


def gdb_core(process, folder):
    """A core of gcore, which leaves code and constants to the files; None without it."""
    gcore = shutil.which("gcore")
    if gcore is None:
        return None
    subprocess.run([gcore, "-o", str(folder / "gcore"), str(process.pid)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / f"gcore.{process.pid}"


def start(program, folder):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TIDE_")}
    environment["LD_PRELOAD"] = f"{BUILD}/lib/libtide.so"
    # A guarded block has the size that was asked for, which is none of malloc's.
    environment["TIDE_GUARD_RATE"] = "0"
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    process = subprocess.Popen([str(program), "known"], cwd=folder, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=environment,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE,
                                                                     (hard, hard)))
    if process.stdout.readline() != b"ready\n":
        fail(f"{program} did not start")
    return process


def stop(process):
    process.kill()
    process.communicate()


def check_all(what, known, folder):
    check_types(what, known)
    check_kinds(what, known)
    check_blocks(what, known)
    check_examine(what)
    check_sizes(what)
    check_dump(what, folder)


def run_program(program, check):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        stripped = folder / "zoo"
        subprocess.run(["strip", "-o", str(stripped), program], check=True)
        process = start(stripped, folder)
        try:
            check(process.pid, Known(folder / "known"), folder / "dump-live")
            cores = [gdb_core(process, folder)]
            if cores[0] is not None:
                check(cores[0], Known(folder / "known"), folder / "dump-gcore")
        finally:
            stop(process)
        cores.append(kernel_core(stripped, folder))
        if cores[1] is not None:
            check(cores[1], Known(folder / "known"), folder / "dump-core")
    return any(core is not None for core in cores)


def main():
    programs = sys.argv[1:]
    if not programs:
        sys.exit(2)
    has_core = run_program(programs[0], check_all)
    for program in programs[1:]:
        run_program(program, lambda what, known, folder: check_without_rtti(what, known))
    sys.exit(0 if has_core else SKIPPED)


if __name__ == "__main__":
    main()
