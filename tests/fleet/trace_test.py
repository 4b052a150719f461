#!/usr/bin/python3
"""tide fleet trace says what tide info says, to the byte, from either engine; a trace that was sent
in part is gone on with."""

import json
import os
import pathlib
import random
import signal
import subprocess
import time
import unittest

from fleet_support import BUILD, FleetTest, TIDE, USAGE, clean_environment, clickhouse, tide


class OnSqlite(FleetTest):
    def write(self, name, events, threads, seed, live=1000):
        subprocess.run([BUILD / "bin/write_trace", self.path(name), str(events), str(threads),
                        str(seed), str(live)], check=True, stdout=subprocess.DEVNULL)
        return self.path(name)

    def record(self, name, *command, allocator="glibc"):
        result = tide("trace", "-q", "--stacks", "unwind", "--with", allocator, "-o",
                      self.path(name), "--", *command)
        self.assertEqual(result.returncode, 0, result.stderr)
        return self.path(name)

    def assert_same(self, trace):
        self.fleet("import", trace)
        name = os.path.basename(trace)
        known = tide("info", "--json", "--top", "7", trace)
        self.assertEqual(known.returncode, 0, known.stderr)
        # Compared as values first: a difference is shown where it is.
        self.assertEqual(self.ask("trace", "--top", "7", name), json.loads(known.stdout))
        self.assertEqual(self.fleet("trace", "--json", "--top", "7", name), known.stdout)
        self.assertEqual(self.fleet("trace", name), tide("info", trace).stdout)

    def test_made_up_traces(self):
        for seed in range(4):
            self.assert_same(self.write(f"t{seed}", 5000, 1 + seed, seed, 10 ** (1 + seed)))

    def test_an_empty_one(self):
        self.assert_same(self.write("empty", 0, 1, 1))

    def test_recorded_ones_with_several_processes(self):
        self.assert_same(self.record("recorded", "/bin/sh", "-c",
                                     "/usr/bin/python3 -c 'import json, threading\n"
                                     "t = [threading.Thread(target=json.dumps, args=([0] * 999,))"
                                     " for i in range(3)]\n[x.start() for x in t]'; ls -l /"))

    def test_on_tide_with_paths(self):
        self.assert_same(self.record("paths", "/bin/ls", "-l", "/usr", allocator="tide"))

    def test_is_sent_once(self):
        trace = self.write("once", 3000, 2, 5)
        first = self.ask("import", trace)["files"][0]
        self.assertFalse(first["was_there"])
        self.assertTrue(self.ask("import", trace)["files"][0]["was_there"])
        self.assertEqual([row["trace"] for row in self.ask("trace")["rows"]], [first["trace"]])
        self.assertEqual(self.sql("SELECT count(*) FROM trace_events"), [[first["events"]]])

    def test_a_sender_that_is_killed_is_gone_on_with(self):
        trace = self.write("killed", 600_000, 2, 3, 100_000)
        chance = random.Random(os.getpid())
        for _ in range(3):
            sender = subprocess.Popen([TIDE, "fleet", "import", trace, "--db", self.db],
                                      env={**clean_environment(), **clickhouse.ENVIRONMENT},
                                      stdout=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.05, 1))
            sender.send_signal(signal.SIGKILL)
            sender.wait()
        self.assert_same(trace)

    def test_a_trace_that_is_not_there(self):
        self.fleet("import", self.write("there", 100, 1, 1))
        self.assert_refused(tide("fleet", "trace", "other", "--db", self.db,
                                 env=clickhouse.ENVIRONMENT), 1, "'other'", "tide fleet trace")

    def test_what_is_no_file_of_ours(self):
        (self.folder / "text").write_text("nothing")
        self.assert_refused(tide("fleet", "import", self.path("text"), "--db", self.db,
                                 env=clickhouse.ENVIRONMENT), 1, "text", "no trace")
        self.assert_refused(tide("fleet", "import", "/nowhere", "--db", self.db,
                                 env=clickhouse.ENVIRONMENT), 1, "/nowhere", "No such file")

    def test_recorded_straight_into_the_database(self):
        result = tide("trace", "-q", "--to", self.trace_address(), "-o", self.path("kept"), "--",
                      "/bin/ls", env=clickhouse.ENVIRONMENT)
        self.assertEqual(result.returncode, 0, result.stderr)
        [row] = self.ask("trace")["rows"]
        self.assertEqual(row["name"], "kept")
        self.assertGreater(row["events"], 100)
        self.assertFalse(os.path.exists(self.path("kept")))

    def test_is_sent_while_it_is_recorded(self):
        """Rows are there before the program ends; what is there in the end is what was recorded."""
        go_on = self.path("go_on")
        command = subprocess.Popen(
            [TIDE, "trace", "-q", "--to", self.trace_address(), "-o", self.path("long"), "--",
             str(BUILD / "bin/fleet_steady"), go_on], env={**clean_environment(), **clickhouse.ENVIRONMENT},
            stderr=subprocess.PIPE, text=True)
        self.addCleanup(command.kill)
        self.wait_for_events(command, 60_000)
        self.interrupt(command)
        early = self.count_events()
        self.assertIsNone(command.poll())
        self.assertEqual(self.ask("trace")["rows"], [])  # it is not there whole
        pathlib.Path(go_on).touch()
        _, err = command.communicate(timeout=100)
        self.assertEqual((command.returncode, err), (0, ""))
        [row] = self.ask("trace")["rows"]
        self.assertGreater(row["events"], early)
        rows = "SELECT count(*), count(DISTINCT event), min(event), max(event) FROM trace_events"
        self.assertEqual(self.sql(rows), [[row["events"], row["events"], 1, row["events"]]])
        known = self.ask("trace", str(row["trace"]))
        text = json.dumps(known)
        self.assertIn('"unknown_releases": 0', text)

    def wait_for_events(self, command, least):
        while command.poll() is None and self.count_events() < least:
            time.sleep(0.1)

    def count_events(self):
        result = tide("fleet", "sql", "SELECT count(*) FROM trace_events", "--json", "--db", self.db,
                      env=clickhouse.ENVIRONMENT)
        return json.loads(result.stdout)["rows"][0][0] if result.returncode == 0 else 0  # no table yet

    def interrupt(self, command):
        pass

    def test_the_password_may_be_in_a_file(self):
        secret = pathlib.Path(self.path("secret"))
        secret.write_text(clickhouse.PASSWORD + "\n")
        result = tide("trace", "-q", "--to", self.trace_address(), "--password-file", secret, "--", "/bin/ls")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(len(self.ask("trace")["rows"]), 1)
        for option in (("--plain",), ("--password-file", secret)):
            self.assert_refused(tide("trace", *option, "--", "/bin/true"), USAGE, option[0], "--to")

    def test_expires(self):
        """What is older goes, with all that belongs to it; what is younger stays."""
        self.fleet("import", self.write("old", 1000, 1, 1))
        self.assertEqual(len(self.ask("trace")["rows"]), 1)
        self.fleet("expire", "--older-than", "1h")
        self.assertEqual(len(self.ask("trace")["rows"]), 1)
        time.sleep(1.1)
        self.fleet("expire", "--older-than", "1s")
        tables = ("traces", "trace_processes", "trace_events", "trace_threads")
        for table in tables:
            while self.sql(f"SELECT count(*) FROM {table}") != [[0]]:  # ClickHouse takes its time
                time.sleep(0.1)

    def trace_address(self):
        return "sqlite://" + self.db


@unittest.skipIf(clickhouse.MISSING, clickhouse.MISSING)
class OnClickHouse(OnSqlite):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(clickhouse.Server())
        cls.count = 0

    def setUp(self):
        super().setUp()
        OnClickHouse.count += 1
        self.db = self.server.database(f"traces{self.count}")

    def trace_address(self):
        return self.db

    def interrupt(self, command):
        """The server is killed while the program runs, and comes back."""
        self.server.kill()
        time.sleep(2.5)  # so that something is sent in vain
        self.assertIsNone(command.poll())
        self.server.start()

    def test_a_password_that_is_wrong_or_not_there(self):
        run = tide("trace", "--to", self.db, "--password-file", "/none/x", "--", "/bin/true")
        self.assert_refused(run, 1, "--password-file", "/none/x")
        run = tide("trace", "--to", self.db, "--", "/bin/true", env={"TIDE_FLEET_PASSWORD": "wrong"})
        self.assert_refused(run, 1, "TIDE_FLEET_PASSWORD")
        self.assertNotIn("wrong", run.stderr)

    def test_another_machine_needs_tls(self):
        for command in (("fleet", "top", "--db"), ("trace", "--to")):
            run = tide(*command, "clickhouse://tide@192.0.2.1:8123/heaps", *(["--", "/bin/true"] if "trace" in command else []),
                       env=clickhouse.ENVIRONMENT)
            self.assert_refused(run, USAGE, "192.0.2.1", "clickhouse+https://", "--plain")


if __name__ == "__main__":
    unittest.main()
