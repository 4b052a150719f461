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
    from benchlib import machine, peers, process, report, return_cases, return_plot, return_report, summary, workloads
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


    def test_advice_is_read_from_the_lines(self):
        lines = """12 madvise(0x7f00, 4096, MADV_DONTNEED) = 0
12 madvise(0x7f00, 8192, MADV_FREE <unfinished ...>
13 madvise(0x7f00, 4096, MADV_DONTNEED) = -1 ENOMEM (Cannot allocate memory)
12 <... madvise resumed>)               = 0
12 process_madvise(-10000, [{iov_base=0x7f00, iov_len=4096}, ...], 32, MADV_DONTNEED, 0) = 131072
12 +++ exited with 0 +++
"""
        self.assertEqual(process.parse_advice(lines), {"MADV_DONTNEED": 3, "MADV_FREE": 1})


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


def burst_record(rss_mib, wall_s=1.0):
    """What burst_threads reports, RSS the same at all times after the last free; page floor 300 MiB."""
    return {"status": "ok", "ops": 10, "wall_s": wall_s, "floor_kib": 300 << 10, "live_kib": 256 << 10,
            "peak_kib": 1000 << 10, "trimmed_kib": 300 << 10, "trim_s": 0.01,
            **{f"rss_{ms}_kib": rss_mib << 10 for ms in (0, 100, 500, 1000, 5000)}}


class Returns(unittest.TestCase):
    CASE = return_cases.BURST_THREADS

    def session(self, samples, case=CASE, names=("mine", "other")):
        job = case.job(Path("/bin"), 1, "mine", 60, " ".join)
        session = Session([job], [peers.Peer(name, None) for name in names], 3, 1, 10, Ledger(False))
        session.samples = [(job, *sample) for sample in samples]
        return session, return_cases.Results(session, job)

    def test_targets_are_judged_on_medians_of_good_samples(self):
        _, results = self.session([("mine", 0, burst_record(310)), ("mine", 1, burst_record(900)),
                                   ("mine", 2, burst_record(312)), ("mine", 3, {"status": "timeout"}),
                                   ("other", 0, burst_record(900, wall_s=0.8))])
        verdicts = {v["what"]: v for v in return_report.judge(self.CASE, results, "mine")}
        self.assertAlmostEqual(verdicts["RSS over page floor after 1 s"]["value"], 312 / 300)
        self.assertTrue(verdicts["RSS over page floor after 1 s"]["met"])
        self.assertFalse(verdicts["page floor over live bytes"]["met"])
        self.assertFalse(verdicts["what malloc_trim(0) still finds"]["met"])   # 12 of 312 MiB
        self.assertAlmostEqual(verdicts["run time over the best other's"]["value"], 1.25)
        self.assertIn("mine (1 failed)", "\n".join(return_report.case_table(self.CASE, results)))

    def test_no_sample_is_neither_met_nor_missed(self):
        session, results = self.session([("mine", 0, {"status": "signal 11 (SIGSEGV)"})])
        self.assertEqual({v["met"] for v in return_report.judge(self.CASE, results, "mine")}, {None})
        table = "\n".join(return_report.target_table([self.CASE], [results], "mine"))
        self.assertIn("no figure", table)
        self.assertNotIn("not met", table)
        rows = return_report.as_json(session, [self.CASE], "mine", {})["rows"]
        self.assertEqual(rows[0]["allocators"]["mine"]["failures"], ["signal 11 (SIGSEGV)"])

    def test_only_advice_that_returns_counts(self):
        session, _ = self.session([], return_cases.MANY_SMALL_ALL)
        session.calls["many_small_all", "mine"] = {"MADV_POPULATE_WRITE": 1800, "MADV_DONTNEED": 90, "MADV_FREE": 11}
        results = return_cases.Results(session, session.jobs[0])
        self.assertEqual(return_cases.returning_calls(results, "mine"), 101)
        self.assertIsNone(return_cases.returning_calls(results, "other"))

    def test_steady_server_runs_on_the_judged_allocator_alone(self):
        session, _ = self.session([], return_cases.STEADY_SERVER, ("mine", "other"))
        self.assertEqual([peer.name for peer in session.peers_of(session.jobs[0])], ["mine"])
        self.assertIn("--seconds", session.jobs[0].argv)

    def test_variants_leave_alone_what_was_set_by_hand(self):
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "libjemalloc.so.2"
            library.touch()
            plain = peers.Peer("je", str(library))
            by_hand = peers.Peer("hand", str(library), {"MALLOC_CONF": "x:y"})
            found = peers.return_variants([GLIBC, plain, by_hand])
        self.assertEqual([peer.name for peer in found], ["je+background"])
        self.assertEqual(found[0].variables, {"MALLOC_CONF": "background_thread:true"})
        self.assertEqual(plain.variables, {})

    def test_cases_are_found_by_name(self):
        self.assertEqual(len(return_cases.find([])), len(return_cases.CASES))
        self.assertEqual([c.name for c in return_cases.find(["fork_heavy", "many_small"])], ["many_small", "fork_heavy"])
        with self.assertRaises(KeyError):
            return_cases.find(["nosuch"])


class Plot(unittest.TestCase):
    @staticmethod
    def record(wall_s, rss=(0, 2048, 2048, 2048, 1024)):
        return {"status": "ok", "wall_s": wall_s, "series_ms": [0, 20, 40, 60, 80], "series_rss_kib": list(rss),
                "series_live_kib": [0] * 5}

    def test_the_last_run_is_found_in_the_order_of_its_command(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.jsonl"
            for wall_s in (1.0, 2.0):
                ledger = Ledger(path)
                ledger.begin("bench/return", [GLIBC, peers.Peer("b", None)], {})
                for name in ("b", "glibc"):
                    ledger.sample("burst_threads", "x", peers.Peer(name, None), 0, self.record(wall_s))
            run, samples = return_plot.samples_of(path, "burst_threads", None)
            self.assertEqual(run, ledger.run_id)
            self.assertEqual(list(samples), ["glibc", "b"])
            self.assertEqual(samples["b"][0]["wall_s"], 2.0)
            self.assertEqual(return_plot.samples_of(path, "cache_flush", None), (None, {}))
            with self.assertRaisesRegex(return_plot.PlotError, "no run of cache_flush"):
                return_plot.find_samples(path, "cache_flush", None)

    def test_second_0_is_the_last_free_and_flat_parts_are_left_out(self):
        seconds, rss, live = return_plot.curve(self.record(0.04), "burst_threads")
        self.assertEqual(rss, [0.0, 2.0, 2.0, 1.0])
        for value, expected in zip(seconds, (-0.04, -0.02, 0.02, 0.04)):
            self.assertAlmostEqual(value, expected)
        self.assertEqual(live, [0.0] * 4)

    def test_one_record_is_drawn_and_names_are_checked(self):
        self.assertEqual(return_plot.typical([self.record(w) for w in (3.0, 1.0, 2.0)])["wall_s"], 2.0)
        samples = {"a": [], "b": []}
        self.assertEqual(return_plot.chosen_names(samples, None, None), ("a", ["b"]))
        with self.assertRaisesRegex(return_plot.PlotError, "'c'"):
            return_plot.chosen_names(samples, "c", None)
        self.assertEqual(return_plot.shorten_paths('<path d="M 1.2345 6.0" x="1.234"/>'),
                         '<path d="M 1.2 6.0" x="1.234"/>')


if __name__ == "__main__":
    unittest.main()
