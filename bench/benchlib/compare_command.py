"""The command line of bench/compare."""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import machine, report, workloads
from .ledger import Ledger
from .peers import KNOWN_NAMES, ROOT, PeerError, choose, sha256
from .session import Job, Session
from .text import duration, render

ABOUT = """\
Example: bench/compare --with tide,glibc,mimalloc --reps 7 small2 mid2
         bench/compare --peer new=build/dev/lib/libtide.so default
         bench/compare --reps 10 -- /usr/bin/python3 -c 'sum(len(str(i)) for i in range(10**6))'

Runs workloads, or any command after --, on several allocators by LD_PRELOAD, interleaved, and
prints medians with 95 % intervals, ratios, memory and page faults. Every raw sample goes to
bench/ledger. Without workloads the group 'default' runs; --list shows all.
"""


def parser():
    result = argparse.ArgumentParser(prog="bench/compare", description=ABOUT, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS)
    add = result.add_argument
    add("workload", nargs="*", metavar="WORKLOAD", help="workloads or groups; or -- CMD ARGS")
    add("--with", dest="names", metavar="A,B,...",
        help=f"allocators, of {','.join(KNOWN_NAMES)}; else all that are installed")
    add("--peer", action="append", default=[], metavar="NAME=PATH", help="one more allocator: any library")
    add("--env", action="append", default=[], metavar="NAME:VAR=VALUE", help="a variable for one allocator")
    add("--base", metavar="NAME", help="allocator that ratios refer to; else the first")
    add("--reps", type=int, default=5, metavar="N", help="rounds (5)")
    add("--warmup", type=int, default=0, metavar="N", help="rounds before, not counted (0)")
    add("--seed", type=int, metavar="N", help="seed of the order and of the workloads; else from the clock")
    add("--timeout", type=float, default=120, metavar="S", help="seconds until a run is killed (120)")
    add("--json", metavar="FILE", help="write everything as JSON; - for standard output, instead of the tables")
    add("--ledger", metavar="FILE", help="append the raw samples here instead of bench/ledger")
    add("--no-ledger", action="store_true", help="keep no record")
    add("--no-calls", action="store_true", help="do not count system calls in one more run of each")
    add("--programs", type=Path, metavar="DIR", help="where the workload programs lie (build/release/bench)")
    add("--list", action="store_true", help="list workloads, groups and allocators")
    return result


class UsageError(Exception):
    pass


def list_everything():
    rows = [[w.name, w.about, w.unit, ",".join(w.groups)] for w in workloads.WORKLOADS]
    print("\n".join(render(["workload", "what it does", "operation", "groups"], rows, left=4)))
    print(f"\ngroups: {', '.join(workloads.GROUPS)}")
    peers, missing = choose(None, [], [])
    print("\n".join(["", *render(["allocator", "library"], [[p.name, p.preload() or "the C library"] for p in peers],
                                 left=2)]))
    for line in missing:
        print(f"missing: {line}")


def build_programs():
    """Brings the workload programs of build/release up to date; quiet unless that fails."""
    build = ROOT / "build/release"
    if not (build / "CMakeCache.txt").exists():
        raise UsageError("nothing is built yet: run make, then this again")
    if not (workloads.PROGRAMS / "churn").exists():
        print("bench/compare: building the workload programs, a minute or less", file=sys.stderr)
    done = subprocess.run(["cmake", "--build", str(build), "--target", "tide_bench"], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise UsageError("the workload programs do not build:\n" + (done.stdout + done.stderr)[-2000:])


def shown_command(argv):
    return machine.hide_folders(shlex.join(argv))


def workload_jobs(options, seed):
    try:
        chosen = workloads.find(options.workload or ["default"])
    except KeyError as error:
        raise UsageError(f"no workload or group {error.args[0]!r}; bench/compare --list shows them") from None
    programs = options.programs or workloads.PROGRAMS
    if not options.programs:
        build_programs()
    jobs = []
    for workload in chosen:
        argv = workload.argv(programs.resolve(), seed)
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


def is_changed(peer, before):
    """Whether somebody built the library anew while it was being measured."""
    path = peer.preload()
    return path is not None and (not os.path.isfile(path) or sha256(path) != before["sha256"])


def run(options, command):
    for name in ("reps", "timeout"):
        if getattr(options, name) <= 0:
            raise UsageError(f"--{name} must be above 0")
    if command and options.workload:
        raise UsageError("give workloads or -- CMD ARGS, not both")
    seed = options.seed if options.seed is not None else int(time.time()) % 100000
    names = [n for n in options.names.split(",") if n] if options.names else None
    peers, missing = choose(names, options.peer, options.env)
    base = options.base or peers[0].name
    if base not in [peer.name for peer in peers]:
        raise UsageError(f"--base {base}: no such allocator in this run")
    jobs = [command_job(command)] if command else workload_jobs(options, seed)
    for line in missing:
        print(f"bench/compare: left out: {line}", file=sys.stderr)
    if warning := machine.load_warning():
        print(f"bench/compare: {warning}", file=sys.stderr)

    ledger = Ledger(False if options.no_ledger else Path(options.ledger) if options.ledger else None)
    with_calls = not options.no_calls and not command
    if with_calls and not shutil.which("strace"):
        print("bench/compare: system calls are not counted without strace: apt-get install strace", file=sys.stderr)
        with_calls = False
    session = Session(jobs, peers, options.reps, seed, options.timeout, ledger, options.warmup, with_calls)
    record = ledger.begin(shown_command(["bench/compare", *sys.argv[1:]]), peers,
                          {"reps": options.reps, "warmup": options.warmup, "seed": seed})
    begin = time.monotonic()
    interrupted = False
    try:
        session.run()
    except KeyboardInterrupt:
        interrupted = True
        print("bench/compare: interrupted; what follows is what was measured", file=sys.stderr)
    if not session.samples:
        return 130
    out = sys.stderr if options.json == "-" else sys.stdout
    if options.json != "-":
        report.print_all(session, base, out)
    print(f"seed {seed}, {options.reps} rounds in {duration(time.monotonic() - begin)}, THP {record['thp']}, "
          f"{record['cores']} cores, Linux {record['kernel']}"
          + (f"; samples in {os.path.relpath(ledger.path)}" if ledger.path else ""), file=out)
    if options.json:
        text = json.dumps(report.as_json(session, base, record), indent=1) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text, encoding="utf-8")
    for peer, before in zip(peers, record["peers"]):
        if is_changed(peer, before):
            raise UsageError(f"{peer.name}'s library changed during the run: its figures are worthless, run again")
    if interrupted:
        return 130
    return 1 if any(r["status"] != "ok" for *_, r in session.samples) else 0


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
