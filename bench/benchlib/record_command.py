"""The command line of bench/record: real programs recorded, made into workloads, replayed."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import machine, peers
from .demo_measure import DemoError, Variant
from .demo_programs import PROGRAMS
from .text import Progress, number, render, times

ABOUT = """\
Example: bench/record
         bench/record --only redis,python --reps 5 --keep workloads --report report.html

Records every allocation call of the real programs of bench/demo, turns the process that called
most into a workload, and replays that on every allocator that is found. Some ten minutes.
"""

COMMAND = peers.ROOT / "build/release/bin/tide"


def parser():
    result = argparse.ArgumentParser(prog="bench/record", description=ABOUT, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS)
    add = result.add_argument
    add("--only", metavar="A,B,...", help=f"some of {','.join(p.name for p in PROGRAMS)}")
    add("--with", dest="allocators", metavar="A,B,...", help="allocators, as tide replay takes them; all, unless given")
    add("--reps", type=int, default=3, metavar="N", help="how often each workload is replayed on each allocator (3)")
    add("--keep", metavar="DIR", help="keep workloads and results in this folder")
    add("--report", metavar="FILE", help="write a page with the plots of all of it")
    return result


def tide(*words):
    """Standard output of one run of the command."""
    done = subprocess.run([str(COMMAND), *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DemoError(f"tide {words[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def record(program, folder, scratch):
    """Folder of the process of the program that made the largest trace."""
    trace = os.path.join(folder, f"{program.name}.trace")
    recorder = [str(COMMAND), "trace", "--quiet", "-o", trace, "--"]
    program.run(Variant("trace", "recorded", None, recorder), scratch)
    processes = [entry.path for entry in os.scandir(trace) if entry.is_dir()]
    if not processes:
        raise DemoError(f"{program.name}: nothing was recorded")
    return max(processes, key=lambda process: os.path.getsize(os.path.join(process, "events.tide")))


def replay(program, workload, options, folder):
    result = os.path.join(folder, f"{program.name}.json")
    words = ["--with", options.allocators] if options.allocators else []
    tide("replay", workload, *words, "--reps", str(options.reps), "-o", result)
    with open(result, encoding="utf-8") as file:
        return json.load(file), result


def median(run, figure):
    return run[figure]["median"] if run.get(figure) else None


def rows_of(program, result):
    """A row for each allocator; ratios are against glibc."""
    base = next((run for run in result["runs"] if run["allocator"] == "glibc"), None)
    for run in result["runs"]:
        cells = [program.name, run["label"]]
        if run["status"] != "ok":
            yield cells + [run["status"], "", "", ""]
            continue
        for figure, scale in (("allocator_ns", 1e9), ("rss_max_bytes", 1 << 20)):
            ours, theirs = median(run, figure), median(base, figure) if base else None
            cells += [number(ours / scale) if ours is not None else "-", times(ours / theirs) if ours and theirs else "-"]
        yield cells


def run(options):
    known = [program.name for program in PROGRAMS]
    chosen = options.only.split(",") if options.only else known
    for name in chosen:
        if name not in known:
            print(f"bench/record: no program '{name}'; it is none of {', '.join(known)}", file=sys.stderr)
            return 2
    if options.reps < 1:
        print("bench/record: --reps must be at least 1", file=sys.stderr)
        return 2
    if not os.access(COMMAND, os.X_OK):
        raise DemoError(f"no file {COMMAND}: run make first")
    if warning := machine.load_warning():
        print(f"bench/record: {warning}", file=sys.stderr)
    programs = [program for program in PROGRAMS if program.name in chosen]
    progress = Progress(2 * len(programs), always=True)
    rows, results = [], []
    with tempfile.TemporaryDirectory(prefix="tide-record-") as scratch:
        folder = options.keep or scratch
        Path(folder).mkdir(parents=True, exist_ok=True)
        for program in programs:
            progress.show(f"recording {program.name}: {program.about}")
            workload = os.path.join(folder, f"{program.name}.tidew")
            tide("convert", record(program, scratch, scratch), "-o", workload, "--to", "workload")
            progress.step()
            progress.show(f"replaying {program.name}")
            result, path = replay(program, workload, options, folder)
            results.append(path)
            rows += rows_of(program, result)
            progress.step()
        progress.clear()
        if options.report:
            tide("report", *results, "-o", options.report)
    print("\n".join(render(["workload", "allocator", "in malloc s", "ratio", "peak MiB", "ratio"], rows, left=2)))
    print("\nin malloc: time inside the allocator, of all threads; ratios to glibc, below 1 is less; medians of "
          f"{options.reps}")
    return 0


def main(arguments):
    options = parser().parse_args(arguments)
    try:
        return run(options)
    except DemoError as error:
        print(f"bench/record: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench/record: interrupted", file=sys.stderr)
        return 130
