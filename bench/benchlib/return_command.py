"""The command line of bench/return."""

import argparse
import sys
import time

from . import return_cases, return_report
from .command import (UsageError, add_common, can_count_calls, check_common, check_unchanged, exit_status, ledger_of,
                      names_of, print_end, print_start, programs_of, run_session, seed_of, shown_command, write_json)
from .peers import PeerError, choose, return_variants
from .session import Session
from .text import render

TOOL = "bench/return"

ABOUT = """\
Example: bench/return
         bench/return --with tide,glibc,jemalloc --reps 5 burst_threads cache_flush
         bench/return --peer new=build/dev/lib/libtide.so --base new burst_threads

How memory goes back to the system once a program has freed it, on several allocators by
LD_PRELOAD, interleaved; allocators with options of their own for that run with and without. Prints
medians, then which targets the first allocator meets. Every raw sample goes to bench/ledger, from
which bench/plot-return draws RSS over time. Without cases all of them run; --list shows them.
"""


def parser():
    result = argparse.ArgumentParser(prog=TOOL, description=ABOUT, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS)
    add = result.add_argument
    add("case", nargs="*", metavar="CASE", help="some of the cases")
    add_common(result, reps=3)
    add("--base", metavar="NAME", help="allocator that targets are judged for; else the first")
    add("--seconds", type=float, default=60, metavar="S", help="length of a run of steady_server (60)")
    add("--no-variants", action="store_true", help="no allocator with options of its own set")
    add("--list", action="store_true", help="list cases, allocators and targets")
    return result


def list_everything():
    rows = [[case.name, case.about] for case in return_cases.CASES]
    print("\n".join(render(["case", "what it shows"], rows, left=2)))
    chosen, missing = choose(None, [], [])
    rows = [[peer.name, " ".join(f"{key}={value}" for key, value in peer.variables.items())]
            for peer in chosen + return_variants(chosen)]
    print("\n".join(["", *render(["allocator", "variables"], rows, left=2)]))
    rows = [[case.name, target.what, f"at {'least' if target.is_least else 'most'} {target.show(target.limit)}"]
            for case in return_cases.CASES for target in case.targets]
    print("\n".join(["", *render(["case", "target", ""], rows, left=2)]))
    for line in missing:
        print(f"missing: {line}")


def chosen_cases(options):
    try:
        return return_cases.find(options.case)
    except KeyError as error:
        raise UsageError(f"no case {error.args[0]!r}; {TOOL} --list shows them") from None


def chosen_peers(options, cases):
    """(allocators and variants, name of the judged one, lines about missing ones)"""
    peers, missing = choose(names_of(options), options.peer, options.env)
    judged = next((peer for peer in peers if peer.name == (options.base or peers[0].name)), None)
    if judged is None:
        raise UsageError(f"--base {options.base}: no such allocator in this run")
    if not options.no_variants:
        peers += return_variants(peers)
    return peers, judged.name, missing


def run(options):
    check_common(options)
    if options.seconds <= 0:
        raise UsageError("--seconds must be above 0")
    cases = chosen_cases(options)
    peers, judged, missing = chosen_peers(options, cases)
    seed = seed_of(options)
    programs = programs_of(options, TOOL)
    jobs = [case.job(programs, seed, judged, options.seconds, shown_command) for case in cases]
    print_start(TOOL, missing)

    ledger = ledger_of(options)
    with_calls = any(case.counts_advice for case in cases) and can_count_calls(options, TOOL)
    timeout = max(options.timeout, 2 * options.seconds)
    session = Session(jobs, peers, options.reps, seed, timeout, ledger, with_calls=with_calls)
    record = ledger.begin(shown_command([TOOL, *sys.argv[1:]]), peers, {"reps": options.reps, "seed": seed})
    begin = time.monotonic()
    is_whole = run_session(session, TOOL)
    if not session.samples:
        return 130
    out = sys.stderr if options.json == "-" else sys.stdout
    if options.json != "-":
        return_report.print_all(session, cases, judged, out)
    print_end(session, record, ledger, time.monotonic() - begin, out)
    if options.json:
        write_json(options.json, return_report.as_json(session, cases, judged, record))
    check_unchanged(peers, record)
    return exit_status(session, is_whole)


def main(arguments):
    options = parser().parse_args(arguments)
    try:
        if options.list:
            list_everything()
            return 0
        return run(options)
    except (UsageError, PeerError) as error:
        print(f"{TOOL}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
