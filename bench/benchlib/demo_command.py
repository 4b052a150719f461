"""The command line of bench/demo: rounds of every program on every allocator, and one table."""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from . import machine, peers
from .demo_measure import DemoError, Variant, tide_variant
from .demo_programs import PROGRAMS, redis_malloc
from .text import Progress, bold, number, render, times

ABOUT = """\
Example: bench/demo
         bench/demo --rounds 5 --only python,redis --json demo.json

Runs real programs on the system's malloc and on Tide (build/release), turn by turn, and prints
time and memory of both side by side. Medians; under three minutes on two cores.
"""

METRICS = (("wall_s", "wall s", 1), ("cpu_s", "CPU s", 1), ("peak_kib", "peak MiB", 1024),
           ("after_kib", "after MiB", 1024))


def parser():
    result = argparse.ArgumentParser(prog="bench/demo", description=ABOUT, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS)
    add = result.add_argument
    add("--rounds", type=int, default=3, metavar="N", help="how often each program runs on each allocator (3)")
    add("--only", metavar="A,B,...", help=f"some of {','.join(p.name for p in PROGRAMS)}")
    add("--library", metavar="PATH", help="another library in Tide's place")
    add("--budget", type=float, default=150, metavar="S", help="no new round that would end later than this (150)")
    add("--json", metavar="FILE", help="also write everything as JSON; - for standard output, instead of the table")
    return result


def variants_of(program, tide):
    """The sides of one program: (what the ratio is against..., tide last), and notes."""
    glibc = "glibc " + os.confstr("CS_GNU_LIBC_VERSION").split()[-1]
    system = Variant("system", glibc, None)
    if program.name != "redis":
        return [system, tide], []
    built, preload_works = redis_malloc()
    if built == "glibc":
        return [system, tide], []
    shipped = Variant("shipped", built, None)
    notes = [f"redis-server of this system brings {built}; its own FLUSHALL tells that allocator to give memory back, "
             "an order that no other allocator hears"]
    if not preload_works:
        notes.append("the C library could not be put in front of it, so there is no glibc row for redis")
        return [shipped, tide], notes
    notes.append(f"for redis on {glibc} the C library is preloaded in front of {built.split()[0]}; "
                 "the loader was asked whether that took")
    return [Variant("system", glibc, None, environment={"LD_PRELOAD": peers.c_library()}), shipped, tide], notes


def run_rounds(programs, sides, rounds, budget, folder):
    """{(program, variant key): [Measured]}; as many rounds as fit into the budget, at least one."""
    results = {}
    progress = Progress(rounds * sum(len(sides[p.name]) for p in programs), always=True)
    begin = time.monotonic()
    for round_number in range(rounds):
        spent = time.monotonic() - begin
        if round_number and spent + spent / round_number > budget:
            progress.clear()
            print(f"bench/demo: {round_number} of {rounds} rounds, to stay within {budget:.0f} s", file=sys.stderr)
            break
        for program in programs:
            # The order turns from round to round: neither side always runs on the warmer machine.
            order = sides[program.name] if round_number % 2 == 0 else sides[program.name][::-1]
            for variant in order:
                progress.show(f"{program.name} on {variant.label}: {program.about}")
                try:
                    measured = program.run(variant, folder)
                except DemoError as error:
                    progress.clear()
                    raise DemoError(f"{program.name} on {variant.label}: {error}") from None
                results.setdefault((program.name, variant.key), []).append(measured)
                progress.step()
    progress.clear()
    return results


def median(samples, metric):
    values = [getattr(sample, metric) for sample in samples]
    return None if None in values else statistics.median(values)


def check_outputs(programs, sides, results):
    for program in programs:
        outputs = {variant.label: {m.output for m in results[program.name, variant.key]}
                   for variant in sides[program.name]}
        if len(set().union(*outputs.values())) != 1:
            raise DemoError(f"{program.name}: the outputs differ: {outputs}")


def table(programs, sides, results):
    header = ["program", "system is"]
    for _, title, _ in METRICS:
        header += [title, "tide", "ratio"]
    rows = []
    for program in programs:
        tide = results[program.name, "tide"]
        for variant in sides[program.name][:-1]:
            cells = [program.name, variant.label + (" (as shipped)" if variant.key == "shipped" else "")]
            for metric, _, scale in METRICS:
                ours, theirs = median(tide, metric), median(results[program.name, variant.key], metric)
                if ours is None or theirs is None:
                    cells += ["-", "-", "-"]
                else:
                    cells += [number(theirs / scale), number(ours / scale), times(ours / theirs if theirs else None)]
            rows.append(cells)
    return render(header, rows, left=2)


def as_json(programs, sides, results, notes):
    rows = []
    for program in programs:
        for variant in sides[program.name]:
            samples = results[program.name, variant.key]
            rows.append({"program": program.name, "about": program.about, "allocator": variant.label,
                         "side": variant.key, "medians": {metric: median(samples, metric) for metric, _, _ in METRICS},
                         "samples": [vars(sample) for sample in samples]})
    return {"machine": machine.facts(), "notes": notes, "rows": rows}


def run(options):
    chosen = options.only.split(",") if options.only else [p.name for p in PROGRAMS]
    for name in chosen:
        if name not in [p.name for p in PROGRAMS]:
            known = ", ".join(p.name for p in PROGRAMS)
            print(f"bench/demo: no program '{name}'; it is none of {known}", file=sys.stderr)
            return 2
    if options.rounds < 1:
        print("bench/demo: --rounds must be at least 1", file=sys.stderr)
        return 2
    programs = [p for p in PROGRAMS if p.name in chosen]
    tide = tide_variant(options.library)
    sides, notes = {}, []
    for program in programs:
        sides[program.name], more = variants_of(program, tide)
        notes += more
    if warning := machine.load_warning():
        print(f"bench/demo: {warning}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="tide-demo-") as folder:
        results = run_rounds(programs, sides, options.rounds, options.budget, folder)
    check_outputs(programs, sides, results)
    notes += ["after: RSS one second after the work was freed, the process idle; ratio: Tide / system, below 1 is less",
              f"{len(next(iter(results.values())))} round(s), medians; outputs were the same on all"]
    if options.json != "-":
        print(bold("Real programs on the system's malloc and on Tide") + "\n")
        print("\n".join(table(programs, sides, results)) + "\n")
        print("\n".join(notes))
    if options.json:
        text = json.dumps(as_json(programs, sides, results, notes), indent=1) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text, encoding="utf-8")
    return 0


def interrupt(*_):
    raise KeyboardInterrupt


def main(arguments):
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, interrupt)  # ends the servers like Ctrl-C does
    try:
        return run(options)
    except DemoError as error:
        print(f"bench/demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench/demo: interrupted", file=sys.stderr)
        return 130
