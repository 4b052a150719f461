"""Runs a case on the system's malloc and on the library under test, and compares.

run_once is one run on one allocator; compare_case is the whole verdict for one case and one
number of threads. Logs of runs that went well are removed, all others are kept.
"""

import dataclasses
import difflib
import os
import resource
import shutil
import time

from lib import watch
from lib.box import Box, CaseFailure
from lib.registry import find_program

_DIFF_LINES = 12
_ENDING_GRACE_SECONDS = 3.0


@dataclasses.dataclass
class Outcome:
    output: dict  # named texts that must not depend on the allocator
    problem: str  # empty when all went well
    seconds: float
    cpu_seconds: float


@dataclasses.dataclass
class Verdict:
    name: str
    threads: int
    problem: str = ""
    system_seconds: float = 0.0
    seconds: float = 0.0
    system_cpu_seconds: float = 0.0
    cpu_seconds: float = 0.0
    rounds: int = 0
    logs: str = ""

    @property
    def passed(self):
        return not self.problem


def _children_cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _problem_with_loads(case, allocator, watcher):
    if not allocator.map_names():
        return ""
    for name, description in watcher.not_loaded.items():
        if name not in case.without:
            return f"ran without the library: {description}"
    missing = [name for name in case.must_load if _executable(name) not in watcher.loaded]
    if missing:
        return (f"never seen with the library: {', '.join(missing)} "
                f"(seen: {', '.join(sorted(watcher.loaded)) or 'none'})")
    return ""


def _executable(name):
    """The file name that /proc shows: of clang++ that is clang, of python3 python3.11."""
    return os.path.basename(os.path.realpath(find_program(name) or name))


def run_once(case, threads, allocator, folder, log_folder, timeout_factor=1.0):
    """One run in a fresh `folder`; leaves the logs in `log_folder`."""
    for path in (folder, log_folder):
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
    os.chmod(folder, 0o755)
    box = Box(case, threads, allocator, folder, log_folder)
    time_limit = case.timeout * timeout_factor
    watcher = watch.Watcher(allocator, time_limit,
                            os.path.join(log_folder, "backtraces.txt"))
    box.watcher = watcher
    output = {}
    problem = "interrupted"
    cpu_before = _children_cpu_seconds()
    start = time.monotonic()
    watcher.start()
    try:
        output = case.function(box)
        if isinstance(output, str):
            output = {"output": output}
        problem = ""
    except CaseFailure as failure:
        problem = str(failure)
    except (OSError, ValueError, KeyError, EOFError) as error:
        # A client in the case that lost its server, or found garbage in an answer.
        problem = f"{type(error).__name__}: {error}"
    finally:
        seconds = time.monotonic() - start
        watcher.finish()
        left = watch.kill_descendants(0.0 if problem else _ENDING_GRACE_SECONDS)
        watch.reap_orphans()
    if watcher.timed_out:
        problem = (f"no end after {time_limit:g} s; stacks of all threads are in "
                   f"{os.path.join(log_folder, 'backtraces.txt')}")
    if not problem and left:
        problem = "left processes behind: " + "; ".join(left[:5])
    messages = box.allocator_messages()
    if messages:
        problem = f"the allocator complained: {messages[0]}" + (f" ({problem})" if problem else "")
    if not problem:
        problem = _problem_with_loads(case, allocator, watcher)
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in (output or {}).items():
        with open(os.path.join(log_folder, f"output-{name}.txt"), "w", encoding="utf-8",
                  errors="backslashreplace") as file:
            file.write(text)
    return Outcome(output or {}, problem, seconds, _children_cpu_seconds() - cpu_before)


def _difference(expected, found):
    """'' or the first lines that differ."""
    if expected == found:
        return ""
    for name in sorted(expected.keys() | found.keys()):
        old = expected.get(name, "").splitlines()
        new = found.get(name, "").splitlines()
        if old == new:
            continue
        lines = [line for line in difflib.unified_diff(old, new, lineterm="", n=0)
                 if not line.startswith(("---", "+++", "@@"))]
        more = f"\n      ... {len(lines) - _DIFF_LINES} lines more" if len(lines) > _DIFF_LINES \
            else ""
        return f"{name} is not the same:\n      " + \
            "\n      ".join(line[:160] for line in lines[:_DIFF_LINES]) + more
    return ""


def compare_case(case, threads, system, under_test, *, repeat, root, log_root,
                 timeout_factor=1.0):
    """The verdict over one run on the system's malloc and `repeat` runs on the other."""
    log_folder = os.path.join(log_root, case.name)
    verdict = Verdict(case.name, threads)
    missing = case.missing_programs()
    if missing:
        verdict.problem = (f"not installed: {', '.join(missing)}; run 'apt-get install "
                           f"{' '.join(case.packages)}'")
        return verdict
    folder = os.path.join(root, case.name)  # the same path in each run: outputs may hold it

    def run(allocator, tag):
        return run_once(case, threads, allocator, folder,
                        os.path.join(log_folder, f"{tag}-{threads}"), timeout_factor)

    reference = run(system, system.label)
    verdict.system_seconds = reference.seconds
    verdict.system_cpu_seconds = reference.cpu_seconds
    if reference.problem:
        verdict.problem = f"fails on the system's malloc: {reference.problem}"
        verdict.logs = log_folder
        return verdict
    for turn in range(repeat):
        found = run(under_test, f"{under_test.label}-round{turn + 1}")
        verdict.rounds += 1
        verdict.seconds += found.seconds / repeat
        verdict.cpu_seconds += found.cpu_seconds / repeat
        problem = found.problem or _difference(reference.output, found.output)
        if problem and not found.problem:
            again = run(system, system.label + "-again")
            if again.problem or again.output != reference.output:
                problem = "not the same twice on the system's malloc either: " + problem
        if problem:
            where = f"round {turn + 1} of {repeat}: " if repeat > 1 else ""
            verdict.problem = where + problem
            verdict.logs = log_folder
            return verdict
    shutil.rmtree(log_folder, ignore_errors=True)
    return verdict
