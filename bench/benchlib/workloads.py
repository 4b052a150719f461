"""The list of workloads: a name, the program of bench/workloads and its arguments.

Programs print one JSON line (see bench/workloads/harness.h); micro is a Google Benchmark program
and gives one row per case.
"""

from dataclasses import dataclass

from .peers import ROOT
from .shapes import SHAPES

PROGRAMS = ROOT / "build/release/bench"


@dataclass(frozen=True)
class Workload:
    name: str
    about: str
    command: tuple          # program name, then arguments
    unit: str | None        # what one operation is; None: a command, timed whole
    groups: tuple
    is_micro: bool = False

    def argv(self, programs, seed):
        if self.unit is None:
            return [word.replace("bench/", f"{ROOT}/bench/", 1) if "bench/" in word else word for word in self.command]
        extra = () if self.is_micro else ("--seed", str(seed))
        return [str(programs / self.command[0]), *self.command[1:], *extra]


def churn(name, about, arguments, groups=("churn", "default")):
    return Workload(name, about, ("churn", *arguments.split()), "call", groups)


def shapes():
    """A row for each shape, each a run of its own."""
    return tuple(Workload(name, about, (program, "--shape", name), "step", ("shapes",))
                 for program, list_of_program in SHAPES.items() for name, about in list_of_program)


def command(name, about, words):
    """A real program, timed as a whole."""
    return Workload(name, about, tuple(words.split()), None, ("programs",))


WORKLOADS = (
    churn("small1", "1 thread, 16-512 B replaced at random",
          "--threads 1 --slots 4000 --min 16 --max 512 --seconds 0.5"),
    churn("small1_held", "the same over 2 GiB of other blocks",
          "--threads 1 --slots 4000 --min 16 --max 512 --held 2G --seconds 0.5", ("churn",)),
    churn("small2", "2 threads, 16-512 B", "--threads 2 --slots 4000 --min 16 --max 512 --seconds 0.5"),
    churn("small2r", "2 threads, 16-512 B, 20 % freed by the other",
          "--threads 2 --slots 4000 --min 16 --max 512 --remote 20 --seconds 0.5"),
    churn("mid2", "2 threads, 2,048 slots each, 8-34 KiB",
          "--threads 2 --slots 2048 --min 8K --max 34K --spread flat --seconds 0.5"),
    churn("mid2r", "2 threads, 8-34 KiB, 20 % freed by the other",
          "--threads 2 --slots 2048 --min 8K --max 34K --spread flat --remote 20 --seconds 0.5", ("churn",)),
    churn("large2", "2 threads, 64 KiB-1 MiB, a byte of every page written",
          "--threads 2 --slots 128 --min 64K --max 1M --touch pages --seconds 0.5"),
    churn("huge2", "2 threads, 1-32 MiB, a byte of every page written",
          "--threads 2 --slots 8 --min 1M --max 32M --touch pages --seconds 0.5"),
    Workload("producer_consumer", "1 producer, 1 consumer: every free is remote",
             ("producer_consumer", "--pairs", "1", "--seconds", "0.5"), "message", ("threads", "default")),
    Workload("asymmetric", "1 thread allocates, another frees, in lists of 512",
             ("asymmetric", "--freeing", "1", "--seconds", "0.5"), "block", ("threads", "default")),
    Workload("server", "4 handlers that come and go and leave blocks for others to free",
             ("server", "--handlers", "4", "--requests", "200000"), "request", ("threads", "default")),
    Workload("false_sharing", "2 threads write small blocks of their own",
             ("false_sharing", "--kind", "active", "--seconds", "0.5"), "round", ("threads", "default")),
    Workload("false_sharing_passive", "the same, first blocks allocated side by side by a third thread",
             ("false_sharing", "--kind", "passive", "--seconds", "0.5"), "round", ("threads", "default")),
    Workload("threads_short", "1,000 short threads, 4 at a time",
             ("threads_short", "--threads", "1000"), "thread", ("threads", "default")),
    Workload("threads_many", "200 threads on few cores, 1 MiB each, then parked",
             ("threads_many", "--threads", "200", "--seconds", "0.5"), "call", ("threads", "default")),
    Workload("ageing", "96 MiB live, the size mix drifts",
             ("ageing", "--live", "96M", "--operations", "4M"), "block", ("long", "default")),
    Workload("lifetimes", "blocks of all ages, a size mix that changes", ("lifetimes", "--operations", "6M", "--oldest", "512K"), "block",
             ("long", "default")),
    Workload("cache", "a 128 MiB cache, filled and evicted", ("cache", "--operations", "1M"), "look-up", ("long", "default")),
    Workload("burst", "bursts of 64 MiB over 64 MiB that stay", ("burst", "--bursts", "16"), "block", ("long", "default")),
    Workload("text", "texts written by realloc, 1 to 64 bytes at a time, to 64 KiB",
             ("text", "--step", "64", "--times", "60"), "realloc", ("long", "default")),
    Workload("text_byte", "the same, a byte at a time", ("text", "--step", "1", "--times", "6"), "realloc", ("long",)),
    Workload("buffers", "2 threads, 12 buffers each of 4-256 KiB, replaced at random",
             ("buffers", "--threads", "2", "--seconds", "0.5"), "call", ("big", "default")),
    Workload("grow15", "realloc growth to 1 GiB by 1.5x",
             ("grow", "--factor", "150", "--times", "1"), "growth", ("big", "default")),
    Workload("grow20", "realloc growth to 1 GiB by 2x",
             ("grow", "--factor", "200", "--times", "1"), "growth", ("big",)),
    Workload("zeroed", "calloc of 1 GiB in a loop", ("zeroed", "--times", "4"), "calloc", ("big", "default")),
    Workload("containers", "2 threads: maps, strings and vectors of the C++ library",
             ("containers", "--threads", "2", "--steps", "500K"), "step", ("programs", "default")),
    command("python", "an object graph built and dropped twice, PYTHONMALLOC=malloc",
            "/usr/bin/env PYTHONMALLOC=malloc PYTHONHASHSEED=1 /usr/bin/python3 -S bench/inputs/object_graph.py"),
    command("sqlite", "load and query in memory and in a file",
            "/usr/bin/sqlite3 -batch -init bench/inputs/sqlite_load.sql :memory: .quit"),
    command("compiler", "g++ -O1 of a C++ file",
            "/usr/bin/g++ -std=c++20 -O1 -Ibench/workloads -c bench/workloads/containers.cc -o /dev/null"),
    Workload("start", "200 processes one after the other", ("start", "--times", "200"), "process",
             ("start", "default")),
    Workload("micro", "single calls by size (Google Benchmark)",
             ("micro", "--benchmark_format=json", "--benchmark_min_time=0.05"), "pair", ("micro",), True),
    *shapes(),
)

GROUPS = ("default", "all", "churn", "threads", "long", "big", "programs", "start", "micro", "shapes")


def find(names):
    """Workloads of those names or groups, in the list's order. Raises KeyError with the bad name."""
    chosen = []
    for name in names:
        found = [w for w in WORKLOADS if name in (w.name, "all") or name in w.groups]
        if not found:
            raise KeyError(name)
        chosen += [w for w in found if w not in chosen]
    return [w for w in WORKLOADS if w in chosen]
