"""A file as `tide replay -o` writes it, with made-up figures: the same in each run.

usage: sample_replay.py FILE
"""

import json
import math
import random
import sys

MIB = 1 << 20
# Name, time and memory against the best, ns of a call.
ALLOCATORS = (("tide", 1.0, 1.06, 9), ("glibc", 1.31, 1.52, 17), ("jemalloc", 1.16, 1.21, 13),
              ("mimalloc", 1.05, 1.34, 10), ("tcmalloc", 1.09, 1.41, 11))
CALLS = (("malloc", 1, 64), ("malloc", 65, 1024), ("malloc", 1025, 32768), ("free", 0, 0),
         ("realloc", 1, 4096))


def figure(value, spread=0.01):
    return {"median": value, "low": value * (1 - spread), "high": value * (1 + spread),
            "samples": [value * (1 - spread), value, value * (1 + spread)]}


def live(t):
    """Live bytes at a share of the run: a start, three bursts, a long tail."""
    burst = max(0.0, math.sin(t * 3 * math.pi)) ** 2
    return (40 + 260 * burst * (1 - t * 0.4) + 60 * min(1, t * 8)) * MIB * (0.15 if t > 0.93 else 1)


def timeline(memory, keeps):
    points, rss = [], 0
    for i in range(1200):
        t = i / 1199
        now = live(t)
        rss = max(now * memory, rss * (1 - 0.03 * keeps))
        points.append([int(t * 8.2e9), int(now), int(rss), int(rss * 1.4 + 30 * MIB)])
    return points


def latency(rng, ns):
    rows = []
    for call, low, high in CALLS:
        factor = 1 + math.log2(high + 2) / 8
        histogram, value, count = [], ns * factor * 0.5, 4_000_000
        while count >= 1:
            histogram.append([round(value), round(count * rng.uniform(0.9, 1.1))])
            value, count = value * 1.25, count * 0.55
        rows.append({"call": call, "low": low, "high": high,
                     "count": sum(count for _, count in histogram), "p50_ns": round(ns * factor, 1),
                     "p99_ns": round(ns * factor * 6), "p999_ns": round(ns * factor * 31),
                     "max_ns": histogram[-1][0], "histogram": histogram})
    return rows


def run(rng, name, time, memory, ns):
    keeps = {"tide": 1.6, "jemalloc": 0.7, "mimalloc": 0.3}.get(name, 0.05)
    points = timeline(memory, keeps)
    return {"allocator": name, "library": "" if name == "glibc" else f"/usr/lib/lib{name}.so",
            "label": name, "options": {}, "status": "ok",
            "wall_ns": figure(1.82e9 * time), "cpu_ns": figure(3.3e9 * time),
            "allocator_ns": figure(1.1e9 * time * time), "calls_per_second": figure(21.4e6 / time),
            "rss_max_bytes": figure(max(p[2] for p in points), 0.004),
            "vm_max_bytes": figure(max(p[3] for p in points), 0),
            "rss_over_live": figure(memory), "page_floor_over_live": figure(1 + (memory - 1) / 2),
            "minor_faults": figure(round(91_000 * memory), 0.02), "major_faults": figure(0, 0),
            "harness_bytes": figure(11 * MIB, 0), "parallelism": figure(1.81),
            "calls": {"malloc": 19_000_000, "free": 18_900_000, "realloc": 420_000},
            "latency": latency(rng, ns),
            "system_calls": {"mmap": round(300 * memory), "munmap": 40, "madvise": round(900 * keeps),
                             "futex": 120, "brk": 4_000 if name == "glibc" else 0},
            "timeline": points}


def sample(crashed=True):
    rng = random.Random(20)
    runs = [run(rng, *allocator) for allocator in ALLOCATORS]
    if crashed:
        runs.append({"allocator": "brittle", "library": "/opt/libbrittle.so", "label": "brittle",
                     "options": {}, "status": "crashed: SIGSEGV after 1200000 calls",
                     **{key: None for key in ("wall_ns", "cpu_ns", "rss_max_bytes", "system_calls")},
                     "latency": [], "timeline": []})
    peak = max(int(live(i / 1199)) for i in range(1200))
    return {"tide_replay": 1, "command": "tide replay web.tidew --with tide,glibc,jemalloc,mimalloc,"
            "tcmalloc --reps 3 -o replay.json",
            "date": "2026-01-05T10:00:00Z", "version": "0.1.0",
            "machine": {"cpu": "A CPU of 3 GHz", "cores": 2, "memory_bytes": 8 << 30,
                        "kernel": "6.1.0", "page_bytes": 4096},
            "workload": {"path": "web.tidew", "name": "web", "threads": 8, "operations": 38_700_000,
                         "allocations": 19_420_000, "peak_blocks": 1_310_000, "peak_bytes": peak,
                         "live_bytes": 9 * MIB, "duration_ns": 8_200_000_000, "parallelism": 1.9,
                         "rss_max_bytes": int(peak * 1.5),
                         "rss": [[p[0], int(p[2] * 1.01)] for p in timeline(1.52, 0.05)[::8]],
                         "calls": {"malloc": 19_000_000, "free": 18_900_000, "realloc": 420_000}},
            "options": {"speed": "max", "touch": "recorded", "reps": 3, "scale": 1,
                        "limit_bytes": None},
            "experiment": None, "runs": runs,
            "fidelity": {"allocator": "glibc", "rss_max_error": 0.012, "rss_curve_error": 0.02,
                         "counts_equal": True, "live_curve_equal": True,
                         "parallelism_recorded": 1.9, "parallelism_replayed": 1.81},
            "sentence": ""}


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump(sample(), out)
