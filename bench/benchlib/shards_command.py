"""What a trace's events cost on one ClickHouse server and on several: processor time of the servers.

Several servers on one machine share its cores, so the clock would say nothing about shards of their
own; what each of them works for an event does. Inserting is counted until the servers rest: their
merges belong to it.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/fleet"))
import clickhouse  # noqa: E402  pylint: disable=wrong-import-position

QUERY = ("SELECT size_bin, thread, count(), sum(size) FROM bench.trace_events_shards WHERE came = 1 "
         "GROUP BY size_bin, thread FORMAT Null")
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def spent(servers, work, until_rest=False):
    """Seconds of each server's processor time that work() takes."""
    before = [cpu_seconds(server) for server in servers]
    work()
    last = [cpu_seconds(server) for server in servers]
    quiet = 0
    while until_rest and quiet < 3:
        time.sleep(1)
        now = [cpu_seconds(server) for server in servers]
        quiet = quiet + 1 if sum(now) - sum(last) < 0.05 * len(servers) else 0
        last = now
    return [after - first for after, first in zip(last, before)]


def record(folder, operations):
    """A trace with about twice as many events."""
    build = ROOT / "build/release"
    subprocess.run([build / "bin/tide", "trace", "-o", folder, "--", build / "bench/lifetimes",
                    "--operations", str(operations)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def measure(shards, trace, queries):
    with contextlib.ExitStack() as stack:
        ports = clickhouse.free_ports(2 * shards)
        servers = [stack.enter_context(clickhouse.Server((ports[i], ports[shards + i]),
                                                         shards=ports[shards:]))
                   for i in range(shards)]
        for server in servers:
            server.database("bench")
        hosts = ",".join(f"127.0.0.1:{server.http}" for server in servers)
        address = f"clickhouse://{clickhouse.USER}@{hosts}/bench?cluster=tide"
        command = [ROOT / "build/release/bin/tide", "fleet", "import", trace, "--db", address]
        insert = spent(servers, lambda: subprocess.run(
            command, check=True, env={**os.environ, **clickhouse.ENVIRONMENT},
            stdout=subprocess.DEVNULL), until_rest=True)
        rows = [int(server.ask("SELECT count() FROM bench.trace_events_rows"))
                for server in servers]
        servers[0].ask(QUERY)  # files are in memory from then on
        asked = [spent(servers, lambda: [servers[0].ask(QUERY) for _ in range(10)])
                 for _ in range(queries)]
        query = [statistics.median(each[i] / 10 for each in asked) for i in range(shards)]
    return rows, insert, query


def line(name, values, digits):
    return f"{name}: {', '.join(f'{value:.{digits}f}' for value in values)}, all {sum(values):.{digits}f}"


def main(arguments):
    parser = argparse.ArgumentParser(
        prog="bench/shards", description="Example: bench/shards --shards 1 --shards 3\n\n" + __doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", help="one that is there already; else one is recorded")
    parser.add_argument("--operations", type=int, default=10_000_000,
                        help="of the program that is recorded, two events each (10,000,000)")
    parser.add_argument("--shards", type=int, action="append", help="how many servers (1 and 3)")
    parser.add_argument("--queries", type=int, default=5, help="rounds of ten (5)")
    options = parser.parse_args(arguments)
    if clickhouse.MISSING:
        sys.exit(f"bench/shards: {clickhouse.MISSING}")
    with tempfile.TemporaryDirectory(prefix="tide-shards-") as folder:
        trace = options.trace or f"{folder}/trace"
        if options.trace is None:
            record(trace, options.operations)
        first = None
        for shards in options.shards or [1, 3]:
            rows, insert, query = measure(shards, trace, options.queries)
            events = sum(rows)
            costs = sum(insert) / events, sum(query) / events
            first = first or costs
            print(f"{shards} server{'s' if shards > 1 else ''}, {events:,} rows: "
                  f"{', '.join(f'{count:,}' for count in rows)}")
            print(line("  insert, s of CPU", insert, 2) + f"; {costs[0] * 1e9:.0f} ns a row, "
                  f"{costs[0] / first[0]:.2f} of the first")
            print(line("  query, ms of CPU", [value * 1e3 for value in query], 0)
                  + f"; {costs[1] * 1e9:.1f} ns a row, {costs[1] / first[1]:.2f} of the first",
                  flush=True)
    return 0
