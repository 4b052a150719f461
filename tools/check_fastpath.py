#!/usr/bin/python3
"""Counts the instructions of malloc's and free's fast paths and compares them with a golden table.

usage: tools/check_fastpath.py --lib LIBTIDE_SO [--print | --update]

Runs the loops of tests/checks/hot_pair.c on the preloaded library under callgrind and divides the
difference of two runs by the number of pairs: the loop's own instructions and the PLT's count too.
Without an option, fails when a row is above its line in tests/checks/fastpath.golden.

  --lib PATH   any malloc library; 'system' for the one of the C library
  --print      print the figures only; for other allocators
  --update     write the figures into the golden table; say why in the commit
"""

import argparse
import concurrent.futures
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "tests/checks/hot_pair.c"
GOLDEN = ROOT / "tests/checks/fastpath.golden"
ROWS = ("pair_64", "pair_1024", "pair_16k", "batch_64", "new_delete_64", "new_sized_delete_64")
TARGETS = {"pair_64": 48}  # promised; --update goes no higher
FEW, MANY = 10_240, 51_200  # multiples of the batch

# The functions whose code is looked at: none of them may build a stack frame before its fast exit.
ENTRY_POINTS = ("malloc", "free", "_Znwm", "_ZdlPv", "_ZdlPvm")


class Failure(Exception):
    pass


def build_program(folder):
    program = pathlib.Path(folder) / "hot_pair"
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O2", "-fno-builtin", "-o", program, SOURCE, "-lstdc++"], check=True)
    return program


def count(program, library, row, rounds):
    """Instructions of one run."""
    env = dict(os.environ)
    env.pop("LD_PRELOAD", None)
    if library != "system":
        env["LD_PRELOAD"] = str(library)
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, row, str(rounds)],
        env=env, capture_output=True, text=True)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not collected:
        reason = run.stderr.strip().splitlines()[-1:] or [f"status {run.returncode}"]
        raise Failure(f"row {row} does not run under valgrind on {library}: {reason[0]}")
    return int(collected.group(1))


def measure(library):
    """{row: instructions of one pair}"""
    with tempfile.TemporaryDirectory() as folder:
        program = build_program(folder)

        def one(row):
            few, many = (count(program, library, row, rounds) for rounds in (FEW, MANY))
            return (many - few) / (MANY - FEW)

        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            figures = dict(zip(ROWS, pool.map(one, ROWS)))
    for row, figure in figures.items():
        if figure < 2:
            raise Failure(f"row {row}: {figure:.2f} instructions a pair can't be; the library failed")
    return figures


def entry_point_sizes(library):
    """{function: (instructions, calls, pushes before the first return)} from the disassembly."""
    def run(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    # By address: free has several names, and the disassembly shows one of them.
    bodies = {int(address, 16): body for address, body in re.findall(
        r"^([0-9a-f]+) <[^>]+>:\n((?:.+\n)+)", run("objdump", "-d", "--no-show-raw-insn", library),
        re.M)}
    found = {}
    for address, name in re.findall(r"^([0-9a-f]+) \w (\w+)$", run("nm", "-D", library), re.M):
        body = bodies.get(int(address, 16)) if name in ENTRY_POINTS else None
        if body:
            ops = [line.split("\t")[1].split()[0] for line in body.splitlines() if "\t" in line]
            first_exit = ops.index("ret") if "ret" in ops else len(ops)
            found[name] = (len(ops), ops.count("call"), ops[:first_exit].count("push"))
    return found


def read_golden():
    golden = {}
    text = GOLDEN.read_text() if GOLDEN.exists() else ""
    for line in text.splitlines():
        cells = line.split("#")[0].split()
        if cells:
            golden[cells[0]] = int(cells[1])
    return golden


def write_golden(figures):
    lines = ["# The most instructions that one malloc/free pair may take, loop and PLT included.",
             "# Written by tools/check_fastpath.py --update; see tests/checks/hot_pair.c for the rows."]
    for row in ROWS:
        figure = math.ceil(figures[row] - 0.01)
        lines.append(f"{row:<20} {min(figure, TARGETS.get(row, figure)):>4}")
    GOLDEN.write_text("\n".join(lines) + "\n")


def compare(figures):
    golden, worse = read_golden(), []
    for row in ROWS:
        limit = golden.get(row)
        if limit is None:
            worse.append(f"row {row} is not in {GOLDEN.relative_to(ROOT)}; run with --update")
        elif figures[row] > limit + 0.05:  # refills, spread over the pairs
            worse.append(f"row {row}: {figures[row]:.2f} instructions, {limit} are allowed; make it "
                         "shorter, or run with --update and say why in the commit")
    return worse


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n", 2)[1][7:], add_help=True)
    parser.add_argument("--lib", required=True)
    parser.add_argument("--print", action="store_true", dest="print_only")
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    library = args.lib if args.lib == "system" else os.path.realpath(args.lib)
    if library != "system" and not os.path.exists(library):
        print(f"check_fastpath: no file {args.lib}; build it first: make", file=sys.stderr)
        return 2
    if not shutil.which("valgrind"):
        print("check_fastpath: valgrind is not installed; run: tools/setup test", file=sys.stderr)
        return 2

    try:
        figures = measure(library)
    except Failure as failure:
        print(f"check_fastpath: {failure}", file=sys.stderr)
        return 1
    for row in ROWS:
        print(f"{row:<20} {figures[row]:8.2f}")
    if args.print_only:
        return 0
    for name, (size, calls, pushes) in sorted(entry_point_sizes(library).items()):
        print(f"{name:<20} {size} instructions in all, {calls} calls, {pushes} pushes before ret")
    if args.update:
        write_golden(figures)
    worse = compare(figures)
    for line in worse:
        print(line)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
