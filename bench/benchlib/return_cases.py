"""What bench/return runs: cases with their programs, the columns of their tables, and targets.

A column or target takes its figure from the record that one process reported. A target is judged on
the median over the rounds; `Results` has what more than one record or allocator is needed for.
"""

import statistics
from dataclasses import dataclass
from typing import Callable

from . import process
from .session import Job
from .text import number, times

RETURNING = ("MADV_DONTNEED", "MADV_DONTNEED_LOCKED", "MADV_FREE")


@dataclass(frozen=True)
class Column:
    title: str
    figure: Callable        # record -> value or None
    show: Callable = number


@dataclass(frozen=True)
class Target:
    what: str
    limit: float
    figure: Callable        # (Results, allocator) -> value or None
    is_least: bool = False  # the limit is the least that will do; else the most
    show: Callable = lambda value: "-" if value is None else f"{value:.3f}x"

    def is_met(self, value):
        return value >= self.limit if self.is_least else value <= self.limit


@dataclass(frozen=True)
class Case:
    name: str
    about: str
    command: tuple          # program of bench/workloads, then arguments
    unit: str
    columns: tuple
    targets: tuple = ()
    counts_advice: bool = False
    only_judged: bool = False   # runs on the judged allocator alone
    takes_seconds: bool = False

    def job(self, programs, seed, judged, seconds, shown):
        argv = [str(programs / self.command[0]), *self.command[1:], "--seed", str(seed)]
        argv += ["--seconds", f"{seconds:g}"] if self.takes_seconds else []
        return Job(self.name, self.about, argv, shown(argv), self.unit, counter=process.count_advice if self.counts_advice else None,
                   peers=(judged,) if self.only_judged else None)


class Results:
    """The good samples of one case."""

    def __init__(self, session, job):
        self.job = job
        self.peers = [peer.name for peer in session.peers_of(job)]
        self.records = {name: {} for name in self.peers}
        self.failures = {name: [] for name in self.peers}
        self.calls = {name: session.calls.get((job.name, name)) for name in self.peers}
        for sample_job, peer, round_number, record in session.samples:
            if sample_job is not job:
                continue
            if record["status"] == "ok":
                self.records[peer][round_number] = record
            else:
                self.failures[peer].append(record["status"])

    def values(self, peer, figure):
        """Round -> value."""
        found = {number: figure(record) for number, record in self.records.get(peer, {}).items()}
        return {number: value for number, value in found.items() if value is not None}

    def median(self, peer, figure):
        values = self.values(peer, figure)
        return statistics.median(values.values()) if values else None

    def over(self, peer, other, figure):
        mine, theirs = self.median(peer, figure), self.median(other, figure)
        return mine / theirs if mine is not None and theirs else None

    def over_best_other(self, peer, figure):
        others = [name for name in self.peers if name != peer and self.median(name, figure)]
        best = min(others, key=lambda name: self.median(name, figure), default=None)
        return self.over(peer, best, figure) if best else None


def mib(key):
    return lambda record: record[key] / 1024 if key in record else None


def raw(key, scale=1.0):
    return lambda record: record[key] * scale if key in record else None


def quotient(over, under):
    return lambda record: record[over] / record[under] if record.get(under) and over in record else None


def per_second(record):
    return record["ops"] / record["wall_s"]


def percent(value):
    return f"{100 * value:.1f} %" if value is not None else "-"


def median_of(figure):
    return lambda results, peer: results.median(peer, figure)


def trim_finds(record):
    """The part of RSS, five seconds after the last free, that malloc_trim(0) still gives back."""
    return max(record["rss_5000_kib"] - record["trimmed_kib"], 0) / record["rss_5000_kib"]


def returning_calls(results, peer):
    """Calls of madvise that give memory back; others, such as for huge pages, do not count."""
    calls = results.calls.get(peer)
    return sum(calls.get(advice, 0) for advice in RETURNING) if calls is not None else None


BURST_THREADS = Case(
    "burst_threads", "16 threads burst, keep a few blocks and sleep; RSS in MiB",
    ("burst_threads",), "block",
    (Column("peak", mib("peak_kib")), Column("last free", mib("rss_0_kib")), Column("0.1 s", mib("rss_100_kib")),
     Column("0.5 s", mib("rss_500_kib")), Column("1 s", mib("rss_1000_kib")), Column("5 s", mib("rss_5000_kib")),
     Column("after trim", mib("trimmed_kib")), Column("trim ms", raw("trim_s", 1e3)), Column("run s", raw("wall_s")),
     Column("live", mib("live_kib")), Column("floor", mib("floor_kib")),
     Column("floor/live", quotient("floor_kib", "live_kib"), times),
     Column("1 s/floor", quotient("rss_1000_kib", "floor_kib"), times)),
    (Target("RSS over page floor after 0.1 s", 2.0, median_of(quotient("rss_100_kib", "floor_kib"))),
     Target("RSS over page floor after 0.5 s", 1.12, median_of(quotient("rss_500_kib", "floor_kib"))),
     Target("RSS over page floor after 1 s", 1.06, median_of(quotient("rss_1000_kib", "floor_kib"))),
     Target("page floor over live bytes", 1.15, median_of(quotient("floor_kib", "live_kib"))),
     Target("what malloc_trim(0) still finds", 0.02, median_of(trim_finds), show=percent),
     Target("run time over the best other's", 1.05,
            lambda results, peer: results.over_best_other(peer, raw("wall_s")))))

SMALL_GONE = Target("pages without live blocks that are gone after 0.2 s", 0.95, median_of(raw("returned")), True, percent)

MANY_SMALL = Case(
    "many_small", "a million blocks of 100 B freed in random order, one in 64 stays",
    ("many_small",), "block",
    (Column("last free MiB", mib("rss_0_kib")), Column("0.2 s MiB", mib("rss_200_kib")),
     Column("pages without live blocks", raw("empty_pages")), Column("not resident", raw("returned"), percent),
     Column("ns a block", lambda record: record["wall_s"] / record["ops"] * 1e9)),
    (SMALL_GONE,))

MANY_SMALL_ALL = Case(
    "many_small_all", "the same, all of them freed",
    ("many_small", "--keep", "0"), "block", MANY_SMALL.columns,
    (SMALL_GONE,   # without it, no call at all would be the best
     Target("calls of madvise that give the 100 MB back", 100, returning_calls, show=number)), counts_advice=True)

BURST_AGAIN = Case(
    "burst_again", "a burst after 10 s of rest against bursts back to back; p99.9 in us",
    ("burst_again",), "block",
    (Column("call, warm", raw("warm_p999_ns", 1e-3)), Column("rested", raw("rested_p999_ns", 1e-3)),
     Column("ratio", quotient("rested_p999_ns", "warm_p999_ns"), times),
     Column("first write, warm", raw("warm_write_p999_ns", 1e-3)), Column("rested", raw("rested_write_p999_ns", 1e-3)),
     Column("ratio", quotient("rested_write_p999_ns", "warm_write_p999_ns"), times),
     Column("RSS after the rest MiB", mib("rested_rss_kib"))),
    (Target("p99.9 of a call after the rest over a warm one's", 1.5,
            median_of(quotient("rested_p999_ns", "warm_p999_ns"))),))

STEADY_SERVER = Case(
    "steady_server", "handlers that come and go over a shared table, return on and off in turns of half a second",
    ("server", "--turns", "0.5"), "request",
    (Column("requests/s", per_second), Column("CPU us", lambda record: record["cpu_s"] / record["ops"] * 1e6),
     Column("peak MiB", mib("peak_rss_kib")), Column("page faults on", raw("on_faults")), Column("off", raw("off_faults")),
     Column("pairs of turns", raw("turns")),
     Column("on/off", raw("on_over_off"), times), Column("standard error", raw("on_over_off_error"), percent)),
    (Target("throughput with return over that without", 0.99, median_of(raw("on_over_off")), True),),
    only_judged=True, takes_seconds=True)

POOL_COLUMNS = (
    Column("live MiB", mib("live_kib")), Column("floor", mib("floor_kib")), Column("last free", mib("rss_0_kib")),
    Column("1 s", mib("rss_1000_kib")), Column("1 s/live", quotient("rss_1000_kib", "live_kib"), times))
POOL_TARGETS = (Target("RSS over live bytes after 1 s", 1.1, median_of(quotient("rss_1000_kib", "live_kib"))),)

POOL_SHRINKS = Case("pool_shrinks", "200 threads that used 1 MiB each, over 64 MiB live, become 2",
                    ("pool_shrinks",), "block", POOL_COLUMNS, POOL_TARGETS)
POOL_SLEEPS = Case("pool_sleeps", "the same, but all of them stay and sleep",
                   ("pool_shrinks", "--left", "200"), "block", POOL_COLUMNS, POOL_TARGETS)

FORK_HEAVY = Case(
    "fork_heavy", "50 children of fork over 64 MiB that touch nothing; KiB of their own",
    ("fork_heavy",), "child",
    (Column("a child", raw("child_own_kib")), Column("without allocator", raw("bare_kib")),
     Column("copied", raw("copied_kib")), Column("fork us", lambda record: record["wall_s"] / record["ops"] * 1e6)),
    (Target("KiB of a child that the allocator makes it copy", 64, median_of(raw("copied_kib")), show=number),))

CACHE_FLUSH = Case(
    "cache_flush", "a 512 MiB cache on 2 threads is flushed to a tenth, three times; the worst, in MiB",
    ("cache_flush",), "entry",
    (Column("live", mib("live_kib")), Column("floor", mib("floor_kib")), Column("last free", mib("rss_0_kib")),
     Column("1 s", mib("rss_1000_kib")), Column("1 s/floor", raw("over_floor"), times),
     Column("ns an entry", lambda record: record["wall_s"] / record["ops"] * 1e9)))

CASES = (BURST_THREADS, MANY_SMALL, MANY_SMALL_ALL, BURST_AGAIN, STEADY_SERVER, POOL_SHRINKS, POOL_SLEEPS, FORK_HEAVY,
         CACHE_FLUSH)


def find(names):
    """Cases of those names in the list's order; all when there are none. Raises KeyError with the bad name."""
    known = [case.name for case in CASES]
    for name in names:
        if name not in known:
            raise KeyError(name)
    return [case for case in CASES if not names or case.name in names]
