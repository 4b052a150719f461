#!/usr/bin/python3
"""Tests of bench/benchlib: statistics, peers, measured processes, rows. Seconds, no allocator needed
but the C library's. Exit status 77 (skipped) without python3-numpy.
"""

import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    from benchlib import machine, peers, process, report, summary, workloads
    from benchlib.ledger import Ledger
    from benchlib.session import Job, Session, micro_cases, plain_row
except ImportError as error:
    print(f"skipped: {error}; apt-get install python3-numpy")
    sys.exit(77)

GLIBC = peers.Peer("glibc", None)


class Statistics(unittest.TestCase):
    def test_interval_holds_the_median(self):
        middle = summary.estimate([5, 1, 4, 2, 3, 100, 3])
        self.assertEqual(middle.median, 3)
        self.assertLessEqual(middle.low, 3)
        self.assertGreaterEqual(middle.high, 3)
        self.assertLess(middle.high, 101)

    def test_clear_gain_is_different_and_noise_is_not(self):
        slow = {i: 2.0 + 0.01 * i for i in range(7)}
        fast = {i: 1.0 + 0.01 * i for i in range(7)}
        self.assertTrue(summary.is_different(summary.ratio(fast, slow)))
        noisy = {i: 2.0 + (-1) ** i * 0.3 for i in range(7)}
        other = {i: 2.0 - (-1) ** i * 0.3 for i in range(7)}
        self.assertFalse(summary.is_different(summary.ratio(noisy, other)))

    def test_rounds_are_paired(self):
        # Both doubled in the same rounds: the ratio is 0.9 in every one of them.
        base = {i: 1.0 if i % 2 else 2.0 for i in range(9)}
        mine = {i: 0.9 * value for i, value in base.items()}
        quotient = summary.ratio(mine, base)
        self.assertAlmostEqual(quotient.low, 0.9)
        self.assertAlmostEqual(quotient.high, 0.9)

    def test_no_common_round_gives_no_ratio(self):
        self.assertIsNone(summary.ratio({0: 1.0}, {1: 1.0}))
        self.assertIsNone(summary.ratio({0: 1.0}, {0: 0.0}))

    def test_one_sample_never_shows_a_difference(self):
        self.assertFalse(summary.is_different(summary.ratio({0: 1.0}, {0: 9.0})))

    def test_geometric_mean(self):
        self.assertAlmostEqual(summary.geometric_mean([0.5, 2.0]), 1.0)
        self.assertIsNone(summary.geometric_mean([]))


class Peers(unittest.TestCase):
    def test_bad_names_are_refused_by_name(self):
        for arguments in ((["nosuch"], [], []), (["glibc"], ["x=/no/such/file"], []), (["glibc"], ["x"], []),
                          (["glibc", "glibc"], [], []), (["glibc"], [], ["glibc"]), (["glibc"], [], ["other:A=1"])):
            with self.assertRaises(peers.PeerError):
                peers.choose(*arguments)

    def test_variables_reach_their_peer_only(self):
        with tempfile.NamedTemporaryFile(suffix=".so") as file:
            chosen, _ = peers.choose(["glibc"], [f"mine={file.name}"], ["mine:A_LIMIT=a=b"])
            self.assertEqual(chosen[1].environment({})["A_LIMIT"], "a=b")
            self.assertNotIn("A_LIMIT", chosen[0].environment({}))
            self.assertEqual(chosen[1].environment({"LD_PRELOAD": "first.so"})["LD_PRELOAD"],
                             f"{os.path.realpath(file.name)}:first.so")

    def test_ledger_keeps_no_folders(self):
        root = str(peers.ROOT)
        self.assertEqual(machine.hide_folders(f"{root}/build/x --a n=/opt/deep/lib.so:/y/z.so a/b"),
                         "build/x --a n=lib.so:z.so a/b")


class Processes(unittest.TestCase):
    def test_crash_exit_and_timeout_are_told_apart(self):
        def status(script, timeout=20.0):
            return process.run(["/bin/sh", "-c", script], GLIBC, timeout).status
        self.assertEqual(status("exit 0"), "ok")
        self.assertEqual(status("exit 3"), "exit 3")
        self.assertEqual(status("kill -SEGV $$"), "signal 11 (SIGSEGV)")
        self.assertEqual(status("sleep 20 & sleep 20", 0.3), "timeout")

    def test_missed_preload_is_a_failure(self):
        with tempfile.NamedTemporaryFile(suffix=".so") as file:   # no library at all
            peer = peers.Peer("broken", file.name)
            session = Session([Job("true", "", ["/bin/true"], "true", None)], [peer], 1, 1, 10, Ledger(False))
            session.run()
            self.assertIn("preload missed", session.samples[0][3]["status"])
            self.assertEqual(session.rows()[0].of("wall", "broken"), {})

    def test_memory_of_a_command_is_its_own(self):
        big = process.run([sys.executable, "-S", "-c", "x = bytes(300 << 20); import time; time.sleep(0.1)"], GLIBC)
        self.assertGreater(big.peak_rss_kib, 0)
        small = process.run(["/bin/sleep", "0.1"], GLIBC)
        self.assertLess(small.peak_rss_kib, 8 << 10)


    def test_system_calls_are_read_from_the_table(self):
        table = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ------------------
 95.06    0.099538           4     24528           madvise
  3.99    0.004176         464         9         2 read
------ ----------- ----------- --------- --------- ------------------
100.00    0.103714           4     24537         2 total
"""
        self.assertEqual(process.parse_call_table(table), {"madvise": 24528, "read": 9})
        self.assertEqual(process.parse_call_table(""), {})


class Rows(unittest.TestCase):
    JOB = Job("w", "about", ["w"], "w", "call")

    @staticmethod
    def record(wall):
        return {"status": "ok", "ops": 1000, "wall_s": wall, "cpu_s": wall, "peak_rss_kib": 2048, "end_rss_kib": 1024,
                "minor_faults": 3, "major_faults": 0}

    def test_failed_samples_are_no_values(self):
        samples = [(self.JOB, "a", 0, self.record(1e-5)), (self.JOB, "a", 1, {"status": "timeout"}),
                   (self.JOB, "b", 0, {"status": "signal 11 (SIGSEGV)"})]
        row = plain_row(self.JOB, samples)
        self.assertEqual(row.unit, "ns/call")
        self.assertAlmostEqual(row.of("wall", "a")[0], 10.0)
        self.assertEqual(list(row.of("wall", "a")), [0])
        self.assertEqual(row.failures, {"a": ["timeout"], "b": ["signal 11 (SIGSEGV)"]})
        text = "\n".join(report.plain_table(row, ["a", "b"], "a"))
        self.assertIn("failed", text)

    def test_micro_cases_are_per_item(self):
        text = {"benchmarks": [{"name": "batch/64", "time_unit": "ns", "real_time": 2560.0, "cpu_time": 1280.0,
                                "items_per_second": 256 / 1280e-9}]}
        cases = micro_cases(("noise\n" + json.dumps(text)).encode())
        self.assertEqual(cases, {"batch/64": {"wall_ns": 10.0, "cpu_ns": 5.0}})

    def test_ledger_is_appended_to(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "new" / "x.jsonl"
            for _ in range(2):
                ledger = Ledger(path)
                ledger.begin("bench/compare w", [GLIBC], {"reps": 1})
                ledger.sample("w", "w", GLIBC, 0, {"status": "timeout"})
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            self.assertEqual([line["kind"] for line in lines], ["run", "sample", "run", "sample"])
            self.assertEqual(lines[0]["peers"][0]["name"], "glibc")
            self.assertTrue({"commit", "dirty", "date", "cpu", "kernel", "thp", "command"} <= set(lines[0]))
            self.assertNotIn("wall_s", lines[1])

    def test_workload_names_are_unique_and_groups_hold_some(self):
        names = [w.name for w in workloads.WORKLOADS]
        self.assertEqual(len(names), len(set(names)))
        for group in workloads.GROUPS:
            self.assertTrue(workloads.find([group]), group)
        with self.assertRaises(KeyError):
            workloads.find(["nosuch"])


if __name__ == "__main__":
    unittest.main()
