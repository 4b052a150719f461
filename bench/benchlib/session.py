"""Runs jobs over allocators in interleaved rounds and collects what each run measured.

In each round every (job, allocator) pair runs once; the order of the allocators is shuffled anew
for each job and round from the printed seed, so no allocator always runs first or after the same
neighbour.
"""

import contextlib
import random
import tempfile
import time
from dataclasses import dataclass, field
from typing import Callable

from . import process
from .text import Progress, duration


@dataclass
class Job:
    name: str
    about: str
    argv: list
    shown: str                 # the command as the ledger and tables show it
    unit: str | None           # what an operation is; None: a command, timed whole
    is_micro: bool = False
    in_scratch: bool = False   # runs in a new empty folder: it writes files
    peers: tuple | None = None # names of the allocators that it runs on; None: all
    counter: Callable | None = process.count_calls  # of system calls, when the session counts any


@dataclass
class Row:
    """One line of results to compare: a workload, or one case of a micro benchmark."""
    job: Job
    case: str | None
    unit: str                                      # "ns/call", "us/request", "s"
    values: dict = field(default_factory=dict)     # metric -> allocator -> round -> value
    failures: dict = field(default_factory=dict)   # allocator -> statuses

    def add(self, metric, peer, round_number, value):
        if value is not None:
            self.values.setdefault(metric, {}).setdefault(peer, {})[round_number] = value

    def of(self, metric, peer):
        return self.values.get(metric, {}).get(peer, {})

    @property
    def title(self):
        return f"{self.job.name}/{self.case}" if self.case else self.job.name


def scratch_folder(job):
    return tempfile.TemporaryDirectory(prefix="tide-bench-") if job.in_scratch else contextlib.nullcontext()


def measure(job, peer, timeout_s):
    """One run, as the record that goes into the ledger."""
    with scratch_folder(job) as folder:
        outcome = process.run(job.argv, peer, timeout_s, folder)
    record = {"status": outcome.status, "process_wall_s": round(outcome.wall_s, 6)}
    own = process.last_json_line(outcome.output) if job.unit and not job.is_micro else None
    if not outcome.is_ok:
        record["errors"] = outcome.errors.decode(errors="replace")[-400:]
        return record
    if own and "ops" in own:
        record["preload"] = "program"
        if own.get("malloc_from") != peer.file_name():
            record["status"] = f"preload missed: malloc comes from {own.get('malloc_from')}"
            return record
        record.update({key: value for key, value in own.items() if key not in ("program", "malloc_from")})
        return record
    if job.unit and not job.is_micro:
        record["status"] = "no result line"
        return record
    seen = "maps" if outcome.preload_seen else "loader" if process.preload_reaches(job.argv, peer) else None
    if seen is None:
        record["status"] = f"preload missed: {peer.file_name()} was not loaded (a static or set-uid program?)"
        return record
    record.update(preload=seen if peer.library else "none", wall_s=round(outcome.wall_s, 6),
                  cpu_s=round(outcome.cpu_s, 6), peak_rss_kib=outcome.peak_rss_kib,
                  minor_faults=outcome.minor_faults, major_faults=outcome.major_faults)
    if job.is_micro:
        cases = micro_cases(outcome.output)
        if not cases:
            record["status"] = "no result line"
        record["cases"] = cases
    return record


def micro_cases(output):
    """Nanoseconds of wall and CPU time per item, of every case of a Google Benchmark run."""
    text = output.decode(errors="replace")
    report = process.json_object(text[text.find("{"):])
    cases = {}
    for case in report.get("benchmarks", []) if report else []:
        if case.get("error_occurred") or case.get("time_unit") != "ns":
            continue
        # items_per_second is by CPU time; from it follow the items of one iteration.
        items = max(round(case["items_per_second"] * case["cpu_time"] * 1e-9), 1)
        cases[case["name"]] = {"wall_ns": round(case["real_time"] / items, 4),
                               "cpu_ns": round(case["cpu_time"] / items, 4)}
    return cases


SCALES = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1.0, 1e3, "ms"))


class Session:
    def __init__(self, jobs, peers, reps, seed, timeout_s, ledger, warmup=0, with_calls=False):
        self.jobs, self.peers, self.reps, self.seed = jobs, peers, reps, seed
        self.timeout_s, self.ledger, self.warmup = timeout_s, ledger, warmup
        self.samples = []      # (job, peer name, round, record)
        self.with_calls = with_calls
        self.calls = {}        # (job name, peer name) -> system calls by name, of one more run

    def peers_of(self, job):
        return [peer for peer in self.peers if job.peers is None or peer.name in job.peers]

    def run(self):
        """All rounds. What was collected stays when the caller is interrupted."""
        shuffle = random.Random(self.seed)
        counted = [job for job in self.jobs if self.with_calls and job.counter and not job.is_micro]
        pairs = sum(len(self.peers_of(job)) for job in self.jobs)
        progress = Progress(pairs * (self.reps + self.warmup) + sum(len(self.peers_of(job)) for job in counted))
        begin = time.monotonic()
        try:
            for round_number in range(-self.warmup, self.reps):
                for job in self.jobs:
                    peers = self.peers_of(job)
                    for peer in shuffle.sample(peers, len(peers)):
                        spent = time.monotonic() - begin
                        left = spent / progress.done * (progress.total - progress.done) if progress.done else 0
                        progress.show(f"{duration(left)} left  {job.name} on {peer.name}")
                        record = measure(job, peer, self.timeout_s)
                        progress.step()
                        if round_number < 0:
                            continue
                        self.ledger.sample(job.name, job.shown, peer, round_number, record)
                        self.samples.append((job, peer.name, round_number, record))
            for job in counted:
                for peer in self.peers_of(job):
                    progress.show(f"system calls: {job.name} on {peer.name}")
                    with scratch_folder(job) as folder:
                        self.calls[job.name, peer.name] = job.counter(job.argv, peer, self.timeout_s, folder)
                    progress.step()
                    self.ledger.sample(job.name, job.shown, peer, self.reps,
                                       {"status": "ok", "system_calls": self.calls[job.name, peer.name]})
        finally:
            progress.clear()

    def rows(self):
        """The samples sorted into rows, in the order of the jobs."""
        result = []
        for job in self.jobs:
            mine = [sample for sample in self.samples if sample[0] is job]
            if mine:
                result += micro_rows(job, mine) if job.is_micro else [plain_row(job, mine)]
        for row in result:
            for peer in self.peers:
                calls = self.calls.get((row.job.name, peer.name))
                if calls:
                    row.add("system_calls", peer.name, 0, sum(calls.values()))
                    row.add("memory_calls", peer.name, 0, sum(calls.get(n, 0) for n in process.MEMORY_CALLS))
        return result


def plain_row(job, samples):
    scale, unit = 1.0, "s"
    if job.unit:
        times = [r["wall_s"] / r["ops"] for _, _, _, r in samples if r["status"] == "ok" and r["ops"] > 0]
        typical = min(times, default=1.0)
        for limit, factor, name in SCALES:
            if typical < limit or limit == 1.0:
                scale, unit = factor, f"{name}/{job.unit}"
                break
    row = Row(job, None, unit)
    for _, peer, round_number, record in samples:
        if record["status"] != "ok":
            row.failures.setdefault(peer, []).append(record["status"])
            continue
        operations = record["ops"] if job.unit else 1
        row.add("wall", peer, round_number, record["wall_s"] * scale / operations)
        row.add("cpu", peer, round_number, record["cpu_s"] * scale / operations)
        row.add("peak_kib", peer, round_number, record["peak_rss_kib"])
        row.add("end_kib", peer, round_number, record.get("end_rss_kib"))
        faults = record["minor_faults"] + record["major_faults"]
        row.add("faults", peer, round_number, faults)
        for name in ("live_rss_kib", "parked_rss_kib", "child_rss_kib", "live_kib"):
            row.add(name, peer, round_number, record.get(name))
    return row


def micro_rows(job, samples):
    rows = {}
    failures = {}
    for _, peer, round_number, record in samples:
        if record["status"] != "ok":
            failures.setdefault(peer, []).append(record["status"])
            continue
        for case, figures in record["cases"].items():
            row = rows.setdefault(case, Row(job, case, "ns"))
            row.add("wall", peer, round_number, figures["wall_ns"])
            row.add("cpu", peer, round_number, figures["cpu_ns"])
            row.add("peak_kib", peer, round_number, record["peak_rss_kib"])
    if not rows:
        rows["(all)"] = Row(job, "(all)", "ns")
    for row in rows.values():
        row.failures = failures
    return list(rows.values())
