"""What the command lines of bench/compare and bench/return share: options, programs, run record."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import machine, workloads
from .ledger import Ledger
from .peers import KNOWN_NAMES, ROOT, sha256
from .text import duration


class UsageError(Exception):
    pass


def add_common(parser, reps):
    """Options that mean the same in both commands."""
    add = parser.add_argument
    add("--with", dest="names", metavar="A,B,...",
        help=f"allocators, of {','.join(KNOWN_NAMES)}; else all that are installed")
    add("--peer", action="append", default=[], metavar="NAME=PATH", help="one more allocator: any library")
    add("--env", action="append", default=[], metavar="NAME:VAR=VALUE", help="a variable for one allocator")
    add("--reps", type=int, default=reps, metavar="N", help=f"rounds ({reps})")
    add("--seed", type=int, metavar="N", help="seed of the order and of the workloads; else from the clock")
    add("--timeout", type=float, default=120, metavar="S", help="seconds until a run is killed (120)")
    add("--json", metavar="FILE", help="write everything as JSON; - for standard output, instead of the tables")
    add("--ledger", metavar="FILE", help="append the raw samples here instead of bench/ledger")
    add("--no-ledger", action="store_true", help="keep no record")
    add("--no-calls", action="store_true", help="do not count system calls in one more run of each")
    add("--programs", type=Path, metavar="DIR", help="where the workload programs lie (build/release/bench)")


def check_common(options):
    for name in ("reps", "timeout"):
        if getattr(options, name) <= 0:
            raise UsageError(f"--{name} must be above 0")


def seed_of(options):
    return options.seed if options.seed is not None else int(time.time()) % 100000


def names_of(options):
    return [name for name in options.names.split(",") if name] if options.names else None


def ledger_of(options):
    return Ledger(False if options.no_ledger else Path(options.ledger) if options.ledger else None)


def can_count_calls(options, tool):
    if options.no_calls:
        return False
    if not shutil.which("strace"):
        print(f"{tool}: system calls are not counted without strace: apt-get install strace", file=sys.stderr)
        return False
    return True


def build_programs(tool):
    """Brings the workload programs of build/release up to date; quiet unless that fails."""
    build = ROOT / "build/release"
    if not (build / "CMakeCache.txt").exists():
        raise UsageError("nothing is built yet: run make, then this again")
    if not (workloads.PROGRAMS / "churn").exists():
        print(f"{tool}: building the workload programs, a minute or less", file=sys.stderr)
    done = subprocess.run(["cmake", "--build", str(build), "--target", "tide_bench"], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise UsageError("the workload programs do not build:\n" + (done.stdout + done.stderr)[-2000:])


def programs_of(options, tool):
    """The folder of the workload programs, built anew unless the caller named one."""
    if not options.programs:
        build_programs(tool)
    return (options.programs or workloads.PROGRAMS).resolve()


def shown_command(argv):
    return machine.hide_folders(shlex.join(argv))


def print_start(tool, missing):
    """What the reader should know before a run: allocators left out, other load."""
    for line in missing:
        print(f"{tool}: left out: {line}", file=sys.stderr)
    if warning := machine.load_warning():
        print(f"{tool}: {warning}", file=sys.stderr)


def run_session(session, tool):
    """Whether it ran to its end; False when the caller interrupted it."""
    try:
        session.run()
    except KeyboardInterrupt:
        print(f"{tool}: interrupted; what follows is what was measured", file=sys.stderr)
        return False
    return True


def print_end(session, record, ledger, seconds, out):
    print(f"seed {session.seed}, {session.reps} rounds in {duration(seconds)}, THP {record['thp']}, "
          f"{record['cores']} cores, Linux {record['kernel']}"
          + (f"; samples in {os.path.relpath(ledger.path)}" if ledger.path else ""), file=out)


def write_json(destination, document):
    text = json.dumps(document, indent=1) + "\n"
    if destination == "-":
        sys.stdout.write(text)
    else:
        Path(destination).write_text(text, encoding="utf-8")


def check_unchanged(peers, record):
    """Raises when somebody built a library anew while it was being measured."""
    for peer, before in zip(peers, record["peers"]):
        path = peer.preload()
        if path is not None and (not os.path.isfile(path) or sha256(path) != before["sha256"]):
            raise UsageError(f"{peer.name}'s library changed during the run: its figures are worthless, run again")


def exit_status(session, is_whole):
    if not is_whole:
        return 130
    return 1 if any(record["status"] != "ok" for *_, record in session.samples) else 0
