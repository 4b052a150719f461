"""The command line of bench/compare."""

import argparse
import os
import shutil
import sys
import time

from . import report, workloads
from .command import (UsageError, add_common, can_count_calls, check_common, check_unchanged, exit_status, ledger_of,
                      names_of, print_end, print_start, programs_of, run_session, seed_of, shown_command, write_json)
from .peers import PeerError, choose
from .session import Job, Session
from .text import render

TOOL = "bench/compare"

ABOUT = """\
Example: bench/compare --with tide,glibc,mimalloc --reps 7 small2 mid2
         bench/compare --peer new=build/dev/lib/libtide.so default
         bench/compare --reps 10 -- /usr/bin/python3 -c 'sum(len(str(i)) for i in range(10**6))'

Runs workloads, or any command after --, on several allocators by LD_PRELOAD, interleaved, and
prints medians with 95 % intervals, ratios, memory and page faults. Every raw sample goes to
bench/ledger. Without workloads the group 'default' runs; --list shows all.
"""


def parser():
    result = argparse.ArgumentParser(prog=TOOL, description=ABOUT, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS)
    add = result.add_argument
    add("workload", nargs="*", metavar="WORKLOAD", help="workloads or groups; or -- CMD ARGS")
    add_common(result, reps=5)
    add("--base", metavar="NAME", help="allocator that ratios refer to; else the first")
    add("--warmup", type=int, default=0, metavar="N", help="rounds before, not counted (0)")
    add("--list", action="store_true", help="list workloads, groups and allocators")
    return result


def list_everything():
    rows = [[w.name, w.about, w.unit, ",".join(w.groups)] for w in workloads.WORKLOADS]
    print("\n".join(render(["workload", "what it does", "operation", "groups"], rows, left=4)))
    print(f"\ngroups: {', '.join(workloads.GROUPS)}")
    peers, missing = choose(None, [], [])
    print("\n".join(["", *render(["allocator", "library"], [[p.name, p.preload() or "the C library"] for p in peers],
                                 left=2)]))
    for line in missing:
        print(f"missing: {line}")


def workload_jobs(options, seed):
    try:
        chosen = workloads.find(options.workload or ["default"])
    except KeyError as error:
        raise UsageError(f"no workload or group {error.args[0]!r}; bench/compare --list shows them") from None
    programs = programs_of(options, TOOL)
    jobs = []
    for workload in chosen:
        argv = workload.argv(programs, seed)
        if not os.access(argv[0], os.X_OK):
            if workload.is_micro:
                print("bench/compare: no 'micro' without Google Benchmark: apt-get install libbenchmark-dev",
                      file=sys.stderr)
                continue
            if workload.unit is None:
                print(f"bench/compare: no '{workload.name}' without {argv[0]}", file=sys.stderr)
                continue
            raise UsageError(f"no program {argv[0]}: build the target tide_bench")
        jobs.append(Job(workload.name, workload.about, argv, shown_command(argv), workload.unit, workload.is_micro,
                        in_scratch=workload.unit is None))
    if not jobs:
        raise UsageError("nothing to run")
    return jobs


def command_job(command):
    if not shutil.which(command[0]):
        raise UsageError(f"no program '{command[0]}'")
    name = os.path.basename(command[0])
    return Job(name, shown_command(command), command, shown_command(command), None)


def run(options, command):
    check_common(options)
    if command and options.workload:
        raise UsageError("give workloads or -- CMD ARGS, not both")
    seed = seed_of(options)
    peers, missing = choose(names_of(options), options.peer, options.env)
    base = options.base or peers[0].name
    if base not in [peer.name for peer in peers]:
        raise UsageError(f"--base {base}: no such allocator in this run")
    jobs = [command_job(command)] if command else workload_jobs(options, seed)
    print_start(TOOL, missing)

    ledger = ledger_of(options)
    with_calls = not command and can_count_calls(options, TOOL)
    session = Session(jobs, peers, options.reps, seed, options.timeout, ledger, options.warmup, with_calls)
    record = ledger.begin(shown_command([TOOL, *sys.argv[1:]]), peers,
                          {"reps": options.reps, "warmup": options.warmup, "seed": seed})
    begin = time.monotonic()
    is_whole = run_session(session, TOOL)
    if not session.samples:
        return 130
    out = sys.stderr if options.json == "-" else sys.stdout
    if options.json != "-":
        report.print_all(session, base, out)
    print_end(session, record, ledger, time.monotonic() - begin, out)
    if options.json:
        write_json(options.json, report.as_json(session, base, record))
    check_unchanged(peers, record)
    return exit_status(session, is_whole)


def main(arguments):
    command = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, command = arguments[:at], arguments[at + 1:]
        if not command:
            print("bench/compare: no command after --", file=sys.stderr)
            return 2
    options = parser().parse_args(arguments)
    try:
        if options.list:
            list_everything()
            return 0
        return run(options, command)
    except (UsageError, PeerError) as error:
        print(f"bench/compare: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
