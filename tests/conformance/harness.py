"""Runs small programs under a preloaded allocator and says how they ended.

Shared by tests/conformance/run.py and tests/misuse/run.py. The library goes into the environment of
the program alone, so that no Python process runs on the allocator that is under test.
"""

import argparse
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

SKIPPED = 77

# Variables of the library's options for every program, from --option.
OPTIONS = {}

# What runs the programs of a build for another machine. It takes part in their addresses, mappings
# and resident memory.
EMULATOR = os.environ.get("TIDE_EMULATOR", "").split()


class Outcome:
    """How a program ended: `status` is an exit status, or minus a signal, or None if it hung."""

    def __init__(self, status, output, errors):
        self.status = status
        self.output = output
        self.errors = errors

    def ending(self):
        if self.status is None:
            return "hung"
        if self.status < 0:
            return f"died of {signal.Signals(-self.status).name}"
        return f"exit status {self.status}"


def backtraces(pid):
    """All threads of a program that hangs, if gdb is there and may look."""
    command = ["gdb", "-nx", "-batch", "-ex", "thread apply all bt 20", "-p", str(pid)]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, errors="replace", timeout=60,
                              check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no backtrace: {error}"


def launch(command, library, timeout, environment=None, address_space=None):
    """Runs `command` with `library` (None: the C library's malloc) and gives its Outcome."""
    variables = {name: value for name, value in os.environ.items()
                 if name != "LD_PRELOAD" and not name.startswith("TIDE_")}
    variables.update(OPTIONS)
    variables.update(environment or {})
    if library is not None:
        variables["LD_PRELOAD"] = str(library)

    def prepare():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if address_space is not None:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))

    process = subprocess.Popen(EMULATOR + [str(word) for word in command], env=variables,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, errors="replace", preexec_fn=prepare,
                               start_new_session=True)
    try:
        output, errors = process.communicate(timeout=timeout)
        status = process.returncode
    except subprocess.TimeoutExpired:
        status = None
        print(backtraces(process.pid), flush=True)
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
    if status is not None:
        # What the program left running, if anything.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if EMULATOR:
        errors = re.sub(r"^qemu: uncaught target signal .*\n", "", errors, flags=re.MULTILINE)
    return Outcome(status, output, errors)


def main(description, cases, run_case, not_emulated=None):
    """The command line of both drivers. `cases`: name -> case; `run_case(case, options)` gives None
    when all is well, else a text; a text that starts with "skip" is no failure. `not_emulated`:
    name -> what the emulator of a build for another machine lacks."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("names", nargs="*", metavar="CASE", help="cases to run (all)")
    parser.add_argument("--library", metavar="PATH", default=os.environ.get("TIDE_LIB"),
                        help="library to preload (TIDE_LIB), or 'none' for the C library's malloc")
    parser.add_argument("--programs", metavar="DIR", help="where the test programs are built")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run each case N times")
    parser.add_argument("--except", dest="left_out", metavar="CASE", action="append", default=[],
                        help="leave a case out")
    parser.add_argument("--option", metavar="NAME=VALUE", action="append", default=[],
                        help="an option of the library for all programs")
    parser.add_argument("--list", action="store_true", help="list the cases")
    options = parser.parse_args()
    if options.list:
        print("\n".join(cases))
        return 0

    for option in options.option:
        name, separator, value = option.partition("=")
        if not separator:
            parser.error(f"--option {option}: write NAME=VALUE")
        OPTIONS["TIDE_" + name.upper()] = value

    unknown = [name for name in options.names + options.left_out if name not in cases]
    if unknown:
        parser.error(f"no case is called {unknown[0]}; --list shows them")
    if not options.library:
        parser.error("which library? Give --library PATH or set TIDE_LIB")
    if not options.programs:
        build = os.environ.get("TIDE_BUILD")
        if not build:
            parser.error("where are the programs? Give --programs DIR or set TIDE_BUILD")
        options.programs = pathlib.Path(build) / "bin"
    options.programs = pathlib.Path(options.programs).resolve()
    if options.library == "none":
        options.library = None
    else:
        options.library = pathlib.Path(options.library).resolve()
        if not options.library.exists():
            parser.error(f"{options.library} does not exist; build it first")

    names = [name for name in options.names or cases if name not in options.left_out]
    failed = skipped = 0
    for name in names:
        problem = None
        start = time.monotonic()
        for _ in range(options.repeat):
            if EMULATOR and name in (not_emulated or {}):
                problem = f"skip: {not_emulated[name]}"
                break
            problem = run_case(cases[name], options)
            if problem:
                break
        if problem and problem.startswith("skip"):
            skipped += 1
            print(f"skip  {name}: {problem[4:].lstrip(': ')}", flush=True)
        elif problem:
            failed += 1
            print(f"FAIL  {name}: {problem}", flush=True)
        elif len(names) > 1:
            print(f"ok    {name} ({time.monotonic() - start:.1f} s)", flush=True)
    if len(names) > 1:
        print(f"{len(names) - failed - skipped} of {len(names)} cases passed, {skipped} skipped")
    if failed:
        return 1
    return SKIPPED if skipped == len(names) else 0


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


if __name__ == "__main__":
    sys.exit("this is a module of tests/conformance/run.py and tests/misuse/run.py")
