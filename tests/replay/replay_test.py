#!/usr/bin/python3
"""tide replay on the workload of a made-up program: what it counts, what becomes of allocators that
go wrong, what it says to bad input, baselines and sweeps. Nothing here depends on time."""

import ctypes.util
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["TIDE_BUILD"]).resolve()
TIDE = BUILD / "bin/tide"
BAD = f"bad={BUILD / 'lib/libbad_malloc.so'}"
THREADS = 3
SEED = 11


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=200, check=False)


class Replay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = pathlib.Path(tempfile.mkdtemp())
        trace = cls.base / "made-up.trace"
        made = run(BUILD / "bin/write_trace", trace, 20_000, THREADS, SEED, 2000)
        assert made.returncode == 0, made.stderr
        cls.workload = cls.base / "made-up.tidew"
        done = run(TIDE, "convert", trace, "-o", cls.workload)
        assert done.returncode == 0, done.stderr
        cls.info = json.loads(run(TIDE, "info", cls.workload, "--json").stdout)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.base)

    def replay(self, *options, status=0):
        done = run(TIDE, "replay", self.workload, "--json", *options)
        self.assertEqual((done.returncode, done.stderr), (status, ""))
        return json.loads(done.stdout)

    def test_counts(self):
        document = self.replay("--with", "glibc", "--reps", 2, "--measure", "latency,pages")
        self.assertEqual(document["tide_replay"], 1)
        self.assertEqual(document["workload"]["operations"], self.info["operations"])
        one, = document["runs"]
        self.assertEqual(one["status"], "ok")
        self.assertEqual(one["calls"], document["workload"]["calls"])
        self.assertEqual(one["live_blocks"], self.info["live_blocks"])
        self.assertEqual(one["live_bytes"], self.info["live_bytes"])
        for figure in ("wall_ns", "cpu_ns", "rss_max_bytes", "p99_ns", "harness_bytes"):
            self.assertEqual(len(one[figure]["samples"]), 2, figure)
        # Each call of both repetitions is in a histogram, and in a bucket of it.
        self.assertEqual(sum(row["count"] for row in one["latency"]), 2 * self.info["operations"])
        for row in one["latency"]:
            self.assertEqual(sum(count for _, count in row["histogram"]), row["count"])
            self.assertLessEqual(row["p50_ns"], row["p99_ns"])
            self.assertLessEqual(row["p99_ns"], row["max_ns"])
        self.assertGreaterEqual(one["page_floor_over_live"]["median"], 1)
        self.assertLessEqual(len(one["timeline"]), 2000)

    def test_copies(self):
        document = self.replay("--with", "glibc", "--reps", 1, "--measure", "none", "--scale", 3)
        one, = document["runs"]
        self.assertEqual(one["live_blocks"], 3 * self.info["live_blocks"])
        self.assertEqual(one["calls"]["free"], 3 * document["workload"]["calls"]["free"])

    def test_every_allocator(self):
        document = self.replay("--reps", 1, "--measure", "syscalls")
        names = [one["allocator"] for one in document["runs"]]
        self.assertEqual(names[:2], ["tide", "glibc"])
        for one in document["runs"]:
            self.assertEqual(one["status"], "ok", one["allocator"])
            self.assertEqual(one["calls"], document["workload"]["calls"], one["allocator"])
        self.assertTrue(document["sentence"].startswith("tide: "), document["sentence"])

    def test_bad_allocators(self):
        cases = {"crash": "crashed: SIGSEGV after ", "abort": "crashed: SIGABRT after",
                 "exit": "exited: status 9 after", "null": "out of memory: ",
                 "hang": "hung: not done within 5 s"}
        for how, wanted in cases.items():
            with self.subTest(how=how):
                document = self.replay("--with", f"{BAD}:BAD_HOW={how}:BAD_AFTER=2000,glibc",
                                       "--reps", 2, "--timeout", "5s" if how == "hang" else "1000s",
                                       "--measure", "none")
                bad, good = document["runs"]
                self.assertTrue(bad["status"].startswith(wanted), bad["status"])
                self.assertIsNone(bad["wall_ns"])
                self.assertEqual(good["status"], "ok")
        self.assertIn("the heap is broken", self.replay(
            "--with", f"{BAD}:BAD_HOW=abort:BAD_AFTER=2000", "--reps", 1)["runs"][0]["status"])

    def test_limit_of_addresses(self):
        document = self.replay("--with", "glibc", "--reps", 1, "--measure", "none", "--limit", "4G",
                               "--limit-by", "rlimit")
        self.assertEqual(document["options"]["limit_by"], "rlimit")
        self.assertEqual(document["runs"][0]["status"], "ok")

    def test_limit_of_a_control_group(self):
        options = ("--with", "glibc,tide", "--reps", 1, "--measure", "syscalls", "--limit-by", "group")
        done = run(TIDE, "replay", self.workload, "--limit", "1G", *options, "--json")
        if done.returncode == 1 and "control group" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        document = json.loads(done.stdout)
        self.assertEqual(document["options"]["limit_by"], "group")
        self.assertEqual([one["status"] for one in document["runs"]], ["ok", "ok"])
        # A tenth of what is live at the peak is too little for everybody, and has to be seen.
        peak = document["workload"]["peak_bytes"]
        done = run(TIDE, "replay", self.workload, "--limit", peak // 10, *options, "--json")
        for one in json.loads(done.stdout)["runs"]:
            self.assertRegex(one["status"], "^out of memory: killed at the limit after ")
        done = run(TIDE, "replay", self.workload, "--limit", "1G", *options)
        self.assertIn("1.0 GiB resident for each allocator, by a control group", done.stdout)

    def test_bad_input(self):
        short = self.base / "short.tidew"
        short.write_bytes(self.workload.read_bytes()[:-100])
        old = self.base / "old.tidew"
        old.write_bytes(self.workload.read_bytes()[:8] + b"\x09" + self.workload.read_bytes()[9:])
        text = self.base / "libtext.so"
        text.write_text("no library\n")
        other = BUILD / "lib/libcli_bystander.so"
        work = self.workload
        cases = [(2, "there is no allocator 'nosuch'; known are tide, glibc", work, "--with", "nosuch"),
                 (1, "there is no file", work, "--with", "mine=/nosuch/lib.so"),
                 (2, "there is no option", work, "--with", "tide:nosuch=1"),
                 (1, "is no allocator that can be preloaded", work, "--with", f"mine={other}"),
                 (2, "--touch is recorded, page or all", work, "--touch", "some"),
                 (2, "--reps is from 1", work, "--reps", "0"),
                 (2, "--limit-by is group or rlimit", work, "--limit", "1G", "--limit-by", "cgroup"),
                 (2, "--limit-by needs --limit", work, "--limit-by", "group"),
                 (2, "is there twice", work, "--with", "glibc,glibc"),
                 (2, "--fail-if needs --baseline", work, "--fail-if", "rss>+3%"),
                 (1, "cannot open", self.base / "nosuch.tidew"),
                 (1, "is a folder", self.base / "made-up.trace"),
                 (1, "has 11 bytes, and the head", text),
                 (1, "of version 9", old), (1, "is damaged at offset", short)]
        for status, wanted, *arguments in cases:
            with self.subTest(arguments=[str(a) for a in arguments]):
                done = run(TIDE, "replay", *arguments)
                lines = done.stderr.splitlines()
                self.assertEqual(len(lines), 1, done.stderr)
                self.assertIn(wanted, lines[0])
                self.assertEqual(done.returncode, status, lines[0])
        done = run(TIDE, "replay", work, "--with", f"mine={text}")
        self.assertEqual(done.stderr, f"tide replay: mine: the library '{text}' is not a shared library\n")
        self.assertEqual(done.returncode, 1)
        # Where the result is to go is looked at first: an hour's replay is not for nothing.
        for option in ("-o", "--ledger"):
            done = run(TIDE, "replay", work, "--with", f"{BAD}:BAD_HOW=hang:BAD_AFTER=1", option, self.base / "no/x")
            self.assertEqual(done.returncode, 1)
            self.assertIn("no/x': No such file or directory", done.stderr)

    def test_baseline(self):
        before = self.base / "before.json"
        self.replay("--with", "glibc", "--reps", 3, "--measure", "none", "-o", before)
        ask = ("--with", "glibc", "--reps", 3, "--measure", "none", "--baseline", before,
               "--fail-if", "rss>+50%")
        done = run(TIDE, "replay", self.workload, *ask)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        document = json.loads(before.read_text())
        figure = document["runs"][0]["rss_max_bytes"]
        figure["samples"] = [sample / 2 for sample in figure["samples"]]
        before.write_text(json.dumps(document))
        done = run(TIDE, "replay", self.workload, *ask)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("FAILS rss>+50%", done.stdout)
        before.write_text("{}")
        self.assertIn("is no result of tide replay -o", run(TIDE, "replay", self.workload, *ask).stderr)

    def test_what_allocators_say(self):
        document = self.replay("--with", "glibc", "--reps", 1, "--measure", "none")
        self.assertIsNone(document["runs"][0]["said"])
        if not ctypes.util.find_library("jemalloc"):
            self.skipTest("no jemalloc")
        document = self.replay("--with", "jemalloc", "--sweep", "purge_delay=8ms", "--reps", 1,
                               "--measure", "none")
        self.assertIn("purge_delay", document["runs"][0]["said"])
        done = run(TIDE, "replay", self.workload, "--with", "jemalloc", "--sweep",
                   "purge_delay=8ms", "--reps", 1, "--measure", "none")
        self.assertRegex(done.stdout, "jemalloc purge_delay=8ms said: .*purge_delay")

    def test_calls_that_an_allocator_has_not(self):
        # Without its own pvalloc() there is the C library's, whose block its free() does not know.
        if not ctypes.util.find_library("jemalloc"):
            self.skipTest("no jemalloc")
        trace = self.base / "pvalloc.trace"
        workload = self.base / "pvalloc.tidew"
        program = ("import ctypes; c = ctypes.CDLL(None); c.pvalloc.restype = ctypes.c_void_p\n"
                   "for i in range(100): c.free(ctypes.c_void_p(c.pvalloc(i * 100)))")
        for command in (["trace", "-o", trace, "--", "/usr/bin/python3", "-S", "-c", program],
                        ["convert", trace, "-o", workload, "--process", 1]):
            done = run(TIDE, *command)
            self.assertEqual(done.returncode, 0, done.stderr)
        done = run(TIDE, "replay", workload, "--json", "--with", "jemalloc", "--reps", 1)
        one, = json.loads(done.stdout)["runs"]
        self.assertEqual((one["status"], one["calls"]["pvalloc"]), ("ok", 100))

    def test_sweep_and_ledger(self):
        ledger = self.base / "ledger.jsonl"
        document = self.replay("--with", "glibc", "--sweep", "arena_max=1,2", "--reps", 2,
                               "--measure", "none", "--ledger", ledger)
        self.assertEqual([one["label"] for one in document["runs"]],
                         ["glibc arena_max=1", "glibc arena_max=2"])
        self.assertEqual(document["experiment"]["option"], "arena_max")
        self.assertTrue(document["experiment"]["pareto"])
        lines = [json.loads(line) for line in ledger.read_text().splitlines()]
        self.assertEqual([line["kind"] for line in lines], ["run"] + 4 * ["sample"])
        self.assertEqual(lines[0]["peers"][0]["env"], {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"})


if __name__ == "__main__":
    unittest.main()
