#!/usr/bin/python3
"""A cluster of three servers of ClickHouse: rows are on all of them, and the answers are those of one
file."""

import json
import unittest

from fleet_support import BUILD, FleetTest, clickhouse, tide
from questions_test import END, HOUR, MIB, sample

import subprocess


@unittest.skipIf(clickhouse.MISSING, clickhouse.MISSING)
class Cluster(FleetTest):
    def setUp(self):
        super().setUp()
        ports = clickhouse.free_ports(6)
        self.servers = [self.enterContext(clickhouse.Server(
            (ports[i], ports[i + 3]), shards=ports[3:])) for i in range(3)]
        for server in self.servers:
            server.database("heaps")
        hosts = ",".join(f"127.0.0.1:{server.http}" for server in self.servers)
        self.cluster = f"clickhouse://{clickhouse.USER}@{hosts}/heaps?cluster=tide"

    def test_answers_are_those_of_one_file(self):
        lines = "".join(sample(END + (hour - 20) * HOUR, {(1, "shop"): (hour + 1) * MIB,
                                                          (2, "mail"): MIB}) for hour in range(21))
        (self.folder / "figures.json").write_text(lines)
        subprocess.run([BUILD / "bin/write_trace", self.path("made"), "60000", "3", "9", "5000"],
                       check=True, stdout=subprocess.DEVNULL)
        for db in (self.db, self.cluster):
            for file in ("figures.json", "made"):
                self.fleet("import", self.path(file), "--host", "h", db=db)
        for question in (("top", "--by", "service"), ("top", "--by", "class"),
                         ("rss", "--from", "20h", "--step", "3h"),
                         ("diff", "--before", "20h..11h", "--after", "10h..0"),
                         ("trace", "made")):
            self.assertEqual(self.ask(*question, db=self.cluster), self.ask(*question), question)
        self.assertEqual(self.sql("SELECT count(*) FROM statistics", db=self.cluster), [[42]])
        sums = ("SELECT size_bin, thread, count(*), sum(size) FROM {} WHERE came = 1 "
                "GROUP BY size_bin, thread ORDER BY size_bin, thread")
        for table in ("trace_events", "trace_events_shards"):
            self.assertEqual(self.sql(sums.format(table), db=self.cluster),
                             self.sql(sums.format("trace_events")), table)
        shares = [int(server.ask("SELECT count() FROM heaps.statistics_rows"))
                  for server in self.servers]
        self.assertEqual(sum(shares), 42)
        self.assertTrue(all(shares), shares)

    def test_a_shard_that_is_away(self):
        (self.folder / "figures.json").write_text(sample(END, {(1, "shop"): MIB}))
        self.fleet("import", self.path("figures.json"), db=self.cluster)
        self.servers[2].kill()
        self.assert_refused(tide("fleet", "top", "--db", self.cluster, env=clickhouse.ENVIRONMENT),
                            1, f"127.0.0.1:{self.servers[2].http}", "does not answer")
        self.servers[2].start()
        self.assertEqual(len(self.ask("top", db=self.cluster)["rows"]), 1)


if __name__ == "__main__":
    unittest.main()
